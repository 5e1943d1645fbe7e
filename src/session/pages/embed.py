#!/usr/bin/env python3
"""Turns style.css and nexus.sh into C string constants, and makes the Content-Security-Policy that
allows this one style by its SHA-256 (CSP level 3, section 2.3.1). Usage: embed.py STYLE SCRIPT OUTPUT"""
import base64
import hashlib
import sys


def literal(text: bytes) -> str:
    lines = []
    for line in text.splitlines(keepends=True):
        out = ""
        for byte in line:
            if byte == 0x0A:
                out += "\\n"
            elif byte in b'"\\?':
                out += "\\" + chr(byte)
            elif 0x20 <= byte < 0x7F:
                out += chr(byte)
            else:
                out += "\\%03o" % byte
        lines.append('        "%s"' % out)
    return "\n".join(lines)


def main() -> None:
    style_path, script_path, out_path = sys.argv[1:4]
    with open(style_path, "rb") as file:
        style = file.read()
    with open(script_path, "rb") as file:
        script = file.read()
    if not style or not script or b"</" in style or b"\0" in style + script:
        sys.exit("embed.py: the style or the script is empty or cannot be embedded")
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    csp = (
        "default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'" % digest
    )
    with open(out_path, "w", encoding="ascii") as file:
        file.write("/* Made by embed.py from style.css and nexus.sh. */\n")
        file.write('#include "session/pages/content.h"\n\n')
        file.write("const char nx_page_style[] =\n%s;\n\n" % literal(style))
        file.write("const char nx_page_csp_text[] =\n%s;\n\n" % literal(csp.encode()))
        file.write("const char nx_page_script_text[] =\n%s;\n" % literal(script))


main()
