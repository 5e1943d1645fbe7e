/* The finder without rules: every text is clean. */
#include "redact/redact.h"

int nx_redact_text(struct nx_bytes text, struct nx_buf *to, struct nx_redact_report *report)
{
    (void)text;
    (void)to;
    (void)report;
    return 0;
}
