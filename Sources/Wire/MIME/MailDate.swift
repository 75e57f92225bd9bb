// Dates of mail (RFC 5322 §3.3, obsolete forms §4.3), by arithmetic: no DateFormatter, no locale, no time zone data.

package struct MailDate: Hashable, Sendable, CustomStringConvertible {
    /// Seconds since 1970-01-01T00:00:00Z.
    package let unixSeconds: Int64
    /// The zone that the date was written in, in minutes east of UTC; nil for `-0000` and unknown zones, which
    /// RFC 5322 says to read as UTC without knowing where the writer was.
    package let zoneMinutes: Int?

    package init(unixSeconds: Int64, zoneMinutes: Int? = 0) {
        self.unixSeconds = unixSeconds
        self.zoneMinutes = zoneMinutes
    }

    /// `Fri, 20 Nov 2026 18:00:00 +0000`
    package var description: String { Self.format(unixSeconds: unixSeconds) }

    /// The years that ``format(unixSeconds:)`` can write: four digits, from 1900 as RFC 5322 §3.3 asks.
    package static let representable: ClosedRange<Int64> = -2_208_988_800...253_402_300_799

    /// The RFC 5322 form in UTC. Times outside of ``representable`` are clamped to it.
    package static func format(unixSeconds: Int64) -> String {
        let seconds = min(max(unixSeconds, representable.lowerBound), representable.upperBound)
        let days = seconds.flooredQuotient(dividingBy: 86_400)
        let time = Int(seconds - days * 86_400)
        let (year, month, day) = Self.civil(fromDays: days)
        // 1970-01-01 was a Thursday.
        let weekday = Int((days + 4) - (days + 4).flooredQuotient(dividingBy: 7) * 7)
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let clock = "\(two(time / 3600)):\(two(time / 60 % 60)):\(two(time % 60))"
        return "\(weekdays[weekday]), \(two(day)) \(months[month - 1]) \(year) \(clock) +0000"
    }

    /// Parses a date. Forgiving: the weekday and the seconds may be missing, comments and odd spacing do not
    /// matter, years of two and three digits and named zones are read as RFC 5322 §4.3 says, a missing zone as UTC.
    package init?(parsing bytes: [UInt8]) {
        var tokens = Tokens(bytes: bytes)
        var word = tokens.next()
        if word.first?.isLetter == true {
            guard Self.index(of: word, in: Self.weekdays) != nil else { return nil }
            word = tokens.next()
        }
        guard let day = Self.number(word, digits: 1...2),
            let month = Self.index(of: tokens.next(), in: Self.months),
            let year = Self.year(tokens.next()),
            let time = Self.time(tokens.next()),
            day >= 1, day <= Self.days(inMonth: month + 1, of: year)
        else { return nil }
        let zone = Self.zone(tokens.next())
        let days = Self.days(fromCivil: year, month + 1, day)
        unixSeconds = days * 86_400 + Int64(time) - Int64(zone ?? 0) * 60
        zoneMinutes = zone
    }

    package init?(parsing text: String) {
        self.init(parsing: Array(text.utf8))
    }

    // MARK: Pieces

    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Words between white space, commas, dashes between letters and digits ("20-Nov-2026") and comments.
    private struct Tokens {
        let bytes: [UInt8]
        var index = 0

        mutating func next() -> ArraySlice<UInt8> {
            while index < bytes.count {
                let byte = bytes[index]
                if byte == .ascii("(") {
                    index = AddressListParser.endOfComment(in: bytes, at: index) ?? bytes.count
                } else if byte.isLineWhitespace || byte == .ascii(",") || isDateDash(at: index) {
                    index += 1
                } else {
                    break
                }
            }
            let start = index
            while index < bytes.count, !bytes[index].isLineWhitespace, bytes[index] != .ascii(","),
                bytes[index] != .ascii("("), !isDateDash(at: index)
            {
                index += 1
            }
            return bytes[start..<index]
        }

        /// A dash with a letter on one side is a separator; one before digits alone is the sign of a zone.
        private func isDateDash(at index: Int) -> Bool {
            guard bytes[index] == .dash, index > 0, index + 1 < bytes.count else { return false }
            return bytes[index - 1].isLetter || bytes[index + 1].isLetter
        }
    }

    private static func number(_ word: some Collection<UInt8>, digits: ClosedRange<Int>) -> Int? {
        guard digits.contains(word.count), word.allSatisfy(\.isDigit) else { return nil }
        return word.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    /// Matches by the first three letters, so that full names are understood too.
    private static func index(of word: ArraySlice<UInt8>, in names: [String]) -> Int? {
        guard word.count >= 3, word.allSatisfy({ $0.isLetter || $0 == .dot }) else { return nil }
        return names.firstIndex { word.prefix(3).equalsIgnoringCase($0.utf8) }
    }

    /// RFC 5322 §4.3: two digits up to 49 are 20xx, from 50 on 19xx; three digits count from 1900.
    private static func year(_ word: ArraySlice<UInt8>) -> Int? {
        guard let value = number(word, digits: 2...4) else { return nil }
        switch word.count {
        case 2: return value < 50 ? value + 2000 : value + 1900
        case 3: return value + 1900
        default: return value >= 1900 ? value : nil
        }
    }

    /// Seconds since midnight. A leap second (`:60`) is the first second of the next minute.
    private static func time(_ word: ArraySlice<UInt8>) -> Int? {
        let fields = word.split(separator: .colon, omittingEmptySubsequences: false)
        guard fields.count == 2 || fields.count == 3,
            let hour = number(fields[0], digits: 1...2), hour < 24,
            let minute = number(fields[1], digits: 2...2), minute < 60,
            let second = fields.count == 3 ? number(fields[2], digits: 2...2) : 0, second <= 60
        else { return nil }
        return hour * 3600 + minute * 60 + second
    }

    private static let zones: [String: Int] = [
        "UT": 0, "GMT": 0, "UTC": 0, "Z": 0, "EST": -300, "EDT": -240, "CST": -360, "CDT": -300, "MST": -420,
        "MDT": -360, "PST": -480, "PDT": -420,
    ]

    private static func zone(_ word: ArraySlice<UInt8>) -> Int? {
        guard let sign = word.first else { return nil }
        if sign == .ascii("+") || sign == .dash {
            guard let value = number(word.dropFirst(), digits: 4...4), value % 100 < 60, value <= 2359 else {
                return nil
            }
            let minutes = value / 100 * 60 + value % 100
            if sign == .dash { return minutes == 0 ? nil : -minutes }
            return minutes
        }
        // Military letters mean nothing reliable (§4.3), nor do other names.
        guard word.count <= 3, word.allSatisfy(\.isLetter) else { return nil }
        return zones[String(decoding: word.map { $0 & 0xDF }, as: UTF8.self)]
    }

    // MARK: Calendar (proleptic Gregorian; eras of 400 years that begin in March)

    private static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: return 30
        default: return 31
        }
    }

    private static func days(fromCivil year: Int, _ month: Int, _ day: Int) -> Int64 {
        let shifted = Int64(month <= 2 ? year - 1 : year)
        let era = shifted.flooredQuotient(dividingBy: 400)
        let yearOfEra = shifted - era * 400
        let dayOfYear = Int64((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1)
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func civil(fromDays days: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = shifted.flooredQuotient(dividingBy: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (Int(yearOfEra + era * 400 + (month <= 2 ? 1 : 0)), Int(month), Int(day))
    }
}

extension Int64 {
    fileprivate func flooredQuotient(dividingBy divisor: Int64) -> Int64 {
        self >= 0 ? self / divisor : -((-self + divisor - 1) / divisor)
    }
}
