// MailerQ's moments: strict out, lenient in.

import MailerQ
import Testing

@Suite("MailerQ times")
struct TimeTests {
    @Test(
        "moments are written in the one form that MailerQ reads",
        arguments: [
            (0, "1970-01-01 00:00:00"), (951_782_400, "2000-02-29 00:00:00"), (1_800_000_000, "2027-01-15 08:00:00"),
            (4_107_542_399, "2100-02-28 23:59:59"), (253_402_300_799, "9999-12-31 23:59:59"),
            (-1, "1970-01-01 00:00:00"), (.max, "9999-12-31 23:59:59"),
        ] as [(Int64, String)])
    func written(_ seconds: Int64, _ text: String) {
        #expect(MailerQTime(unixSeconds: seconds).description == text)
        #expect(MailerQTime(text) == MailerQTime(unixSeconds: seconds))
    }

    @Test(
        "what comes near is read",
        arguments: [
            "2027-01-15 08:00:00", " 2027-01-15  08:00:00 ", "2027-01-15T08:00:00Z", "2027-01-15T08:00:00.123456Z",
            "2027-01-15 08:00", "2027-01-15 10:30:00+02:30", "2027-01-15 07:00:00 -0100", "2027/01/15 08:00:00",
            "2027-01-15 08:00:00 +00:00",
        ])
    func lenient(_ text: String) {
        #expect(MailerQTime(text)?.unixSeconds == 1_800_000_000)
    }

    @Test(
        "all else is no time",
        arguments: [
            "", "now", "2027-01-15", "2027-1-15 08:00:00", "2027-02-30 08:00:00", "2026-02-29 08:00:00",
            "2027-13-01 08:00:00", "2027-00-01 08:00:00", "2027-01-00 08:00:00", "2027-01-15 24:00:00",
            "2027-01-15 08:60:00", "2027-01-15 08:00:61", "0000-00-00 00:00:00", "1969-12-31 23:59:59",
            "2027-01-15 08:00:00 CET", "2027-01-15 08:00:00.", "2027-01-15 08:00:00+1", "1800000000", "20270115 080000",
            "2027-01-15 08:00:00\u{0}", "١٢٣٤-01-15 08:00:00", "99999-01-15 08:00:00", "1970-01-01 00:00:00 +01:00",
        ])
    func refused(_ text: String) {
        #expect(MailerQTime(text) == nil)
    }
}
