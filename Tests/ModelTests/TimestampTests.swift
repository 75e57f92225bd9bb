// Moments as RFC 3339 text, both ways, over the whole calendar.

import Model
import Testing

@Suite("Timestamps")
struct TimestampTests {
    static let table: [(text: String, milliseconds: Int64)] = [
        ("1970-01-01T00:00:00.000Z", 0),
        ("1970-01-01T00:00:00.001Z", 1),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1969-12-31T00:00:00.000Z", -86_400_000),
        ("2026-11-20T18:04:05.123Z", 1_795_197_845_123),
        ("2000-02-29T12:00:00.000Z", 951_825_600_000),
        ("2000-03-01T00:00:00.000Z", 951_868_800_000),
        ("1900-02-28T23:59:59.999Z", -2_203_891_200_001),
        ("1900-03-01T00:00:00.000Z", -2_203_891_200_000),
        ("2024-02-29T00:00:00.000Z", 1_709_164_800_000),
        ("2100-02-28T23:59:59.000Z", 4_107_542_399_000),
        ("2100-03-01T00:00:00.000Z", 4_107_542_400_000),
        ("1600-02-29T00:00:00.000Z", -11_670_998_400_000),
        ("0001-01-01T00:00:00.000Z", -62_135_596_800_000),
        ("0000-01-01T00:00:00.000Z", -62_167_219_200_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ]

    @Test("a moment is written in UTC with milliseconds, and read back", arguments: table)
    func bothWays(_ text: String, _ milliseconds: Int64) {
        #expect(Timestamp(milliseconds: milliseconds).description == text)
        #expect(Timestamp(text) == Timestamp(milliseconds: milliseconds))
    }

    @Test(
        "offsets, short and long fractions, and other spellings of RFC 3339 are read",
        arguments: [
            ("2026-11-20T18:04:05Z", "2026-11-20T18:04:05.000Z"),
            ("2026-11-20t18:04:05z", "2026-11-20T18:04:05.000Z"),
            ("2026-11-20 18:04:05Z", "2026-11-20T18:04:05.000Z"),
            ("2026-11-20T18:04:05.1Z", "2026-11-20T18:04:05.100Z"),
            ("2026-11-20T18:04:05.123456789Z", "2026-11-20T18:04:05.123Z"),
            ("2026-11-20T18:04:05.999999999999Z", "2026-11-20T18:04:05.999Z"),
            ("2026-11-20T18:04:05+00:00", "2026-11-20T18:04:05.000Z"),
            ("2026-11-20T18:04:05-00:00", "2026-11-20T18:04:05.000Z"),
            ("2026-11-20T19:04:05+01:00", "2026-11-20T18:04:05.000Z"),
            ("2026-11-20T12:34:05-05:30", "2026-11-20T18:04:05.000Z"),
            ("2027-01-01T00:30:00+01:00", "2026-12-31T23:30:00.000Z"),
            ("2024-02-28T23:30:00-01:00", "2024-02-29T00:30:00.000Z"),
            ("1970-01-01T00:30:00+01:00", "1969-12-31T23:30:00.000Z"),
            ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00.000Z"),
            ("2026-11-20T18:04:05.5+23:59", "2026-11-19T18:05:05.500Z"),
        ])
    func spellings(_ text: String, _ expected: String) {
        #expect(Timestamp(text)?.description == expected)
    }

    @Test(
        "what is no moment is refused",
        arguments: [
            "", "Z", "2026", "2026-11-20", "2026-11-20T18:04Z", "2026-11-20T18:04:05", "2026-11-20T18:04:05.Z",
            "2026-11-20T18:04:05.1234567890123Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-04-31T00:00:00Z", "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+00:60",
            "2026-01-01T00:00:00+1:00", "2026-01-01T00:00:00+0100", "2026-01-01T00:00:00ZZ", "2026-01-01T00:00:00Z ",
            " 2026-01-01T00:00:00Z", "2026-1-1T0:0:0Z", "20260101T000000Z", "-026-01-01T00:00:00Z",
            "+2026-01-01T00:00:00Z", "2026/01/01T00:00:00Z", "2026-01-01T00:00:00,5Z", "２026-01-01T00:00:00Z",
            "2026-01-01T00:00:00\u{0}Z", "10000-01-01T00:00:00Z", "2026-01-01T+1:00:00Z",
        ])
    func refused(_ text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test(
        "an offset does not lead out of the years that can be written",
        arguments: ["0000-01-01T00:00:00+00:01", "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-00:01"])
    func edgeOfTheCalendar(_ text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test("every day of two centuries is written as the day after the one before, and read back")
    func everyDay() {
        var expected = (year: 1899, month: 1, day: 1)
        func length(_ year: Int, _ month: Int) -> Int {
            switch month {
            case 2: year % 400 == 0 || (year % 4 == 0 && year % 100 != 0) ? 29 : 28
            case 4, 6, 9, 11: 30
            default: 31
            }
        }
        var wrong = 0
        for day in Int64(-25_932)..<(-25_932 + 74_144) {
            let time = Timestamp(milliseconds: day * 86_400_000 + 43_200_000)
            let text = time.description
            let (year, month, date) = (
                Int(text.prefix(4)), Int(text.dropFirst(5).prefix(2)), Int(text.dropFirst(8).prefix(2))
            )
            if year != expected.year || month != expected.month || date != expected.day || Timestamp(text) != time {
                wrong += 1
            }
            expected.day += 1
            if expected.day > length(expected.year, expected.month) {
                (expected.day, expected.month) = (1, expected.month + 1)
            }
            if expected.month > 12 { (expected.month, expected.year) = (1, expected.year + 1) }
        }
        #expect(wrong == 0)
        #expect(expected.year == 2102)
    }

    @Test(
        "seconds are rounded down, before 1970 too",
        arguments: [(0, 0), (999, 0), (1000, 1), (-1, -1), (-1000, -1), (-1001, -2)] as [(Int64, Int64)])
    func wholeSeconds(_ milliseconds: Int64, _ seconds: Int64) {
        #expect(Timestamp(milliseconds: milliseconds).seconds == seconds)
    }

    @Test("moments sort, and seconds can be added and taken away")
    func arithmetic() {
        let time = Timestamp(milliseconds: 1000)
        #expect(time.adding(seconds: 0.0015) == Timestamp(milliseconds: 1002))
        #expect(time.adding(seconds: -2) == Timestamp(milliseconds: -1000))
        #expect(time.adding(seconds: -1) < time && time < time.adding(seconds: 1))
    }

    @Test("the system's clock runs, and stands in this century")
    func systemClock() {
        let (first, second) = (SystemClock().now(), SystemClock().now())
        #expect(first <= second)
        #expect(first.description.hasPrefix("20"))
    }
}
