/* Calendar arithmetic for time.h, without the C library's locale and time zone. */
#include "base/time.h"

#include <string.h>

#define DAY_MS  INT64_C(86400000)
#define LAST_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

struct calendar {
    unsigned year, month, day, hour, minute, second, millisecond, weekday;
};

/* Days since 1970-01-01 to a civil date: shift the year to begin in March, so that the leap day
 * comes last, and count in 400-year eras of 146097 days. */
static struct calendar split(int64_t wall_ms)
{
    int64_t ms = wall_ms < 0 ? 0 : wall_ms > LAST_MS ? LAST_MS : wall_ms;
    unsigned days = (unsigned)(ms / DAY_MS);
    unsigned in_day = (unsigned)(ms % DAY_MS);
    unsigned shifted = days + 719468;
    unsigned era = shifted / 146097;
    unsigned day_of_era = shifted % 146097;
    unsigned year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned march_month = (5 * day_of_year + 2) / 153;
    struct calendar c;

    c.day = day_of_year - (153 * march_month + 2) / 5 + 1;
    c.month = march_month < 10 ? march_month + 3 : march_month - 9;
    c.year = year_of_era + era * 400 + (c.month <= 2 ? 1 : 0);
    c.weekday = (days + 4) % 7;
    c.hour = in_day / 3600000;
    c.minute = in_day / 60000 % 60;
    c.second = in_day / 1000 % 60;
    c.millisecond = in_day % 1000;
    return c;
}

static void digits(char *to, unsigned value, unsigned count)
{
    while (count > 0) {
        to[--count] = (char)('0' + value % 10);
        value /= 10;
    }
}

void nx_time_rfc3339(int64_t wall_ms, char *ret_text)
{
    struct calendar c = split(wall_ms);

    memcpy(ret_text, "0000-00-00T00:00:00.000Z", NX_RFC3339_LEN);
    digits(ret_text, c.year, 4);
    digits(ret_text + 5, c.month, 2);
    digits(ret_text + 8, c.day, 2);
    digits(ret_text + 11, c.hour, 2);
    digits(ret_text + 14, c.minute, 2);
    digits(ret_text + 17, c.second, 2);
    digits(ret_text + 20, c.millisecond, 3);
}

void nx_time_http_date(int64_t wall_ms, char *ret_text)
{
    static const char weekdays[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct calendar c = split(wall_ms);

    memcpy(ret_text, "Sun, 00 Jan 0000 00:00:00 GMT", NX_HTTP_DATE_LEN);
    memcpy(ret_text, weekdays + (size_t)3 * c.weekday, 3);
    digits(ret_text + 5, c.day, 2);
    memcpy(ret_text + 8, months + (size_t)3 * (c.month - 1), 3);
    digits(ret_text + 12, c.year, 4);
    digits(ret_text + 17, c.hour, 2);
    digits(ret_text + 20, c.minute, 2);
    digits(ret_text + 23, c.second, 2);
}
