// Moments as MailerQ writes them, "2026-11-20 18:04:05" in UTC. Its own parser is strict about the form.

#if canImport(Glibc)
import Glibc
#endif

package struct MailerQTime: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Seconds since 1970-01-01T00:00:00Z, within ``representable``.
    package let unixSeconds: Int64

    /// The years 1970 to 9999.
    package static let representable: ClosedRange<Int64> = 0...253_402_300_799

    /// A moment outside of ``representable`` becomes the nearest one in it.
    package init(unixSeconds: Int64) {
        self.unixSeconds = min(max(unixSeconds, Self.representable.lowerBound), Self.representable.upperBound)
    }

    package static func < (left: MailerQTime, right: MailerQTime) -> Bool { left.unixSeconds < right.unixSeconds }

    /// `YYYY-MM-DD HH:MM:SS`, UTC.
    package var description: String {
        var seconds = time_t(unixSeconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        var text: [UInt8] = []
        text.reserveCapacity(19)
        func append(_ value: Int32, _ width: Int, _ separator: String) {
            text += separator.utf8
            let digits = String(value).utf8
            text += repeatElement(UInt8(ascii: "0"), count: max(0, width - digits.count))
            text += digits
        }
        append(parts.tm_year + 1900, 4, "")
        append(parts.tm_mon + 1, 2, "-")
        append(parts.tm_mday, 2, "-")
        append(parts.tm_hour, 2, " ")
        append(parts.tm_min, 2, ":")
        append(parts.tm_sec, 2, ":")
        return String(decoding: text, as: UTF8.self)
    }

    /// Reads MailerQ's form and what comes near: white space around it, `T` in the middle, no seconds, a fraction of a
    /// second, `Z` or a numeric offset at the end. `nil` for all else, and for moments outside of ``representable``.
    package init?(_ text: String) {
        guard text.utf8.count <= 64 else { return nil }
        var scanner = Scanner(text)
        guard let date = scanner.date(), let time = scanner.time(), let offset = scanner.offset(), scanner.isAtEnd
        else {
            return nil
        }
        var parts = tm()
        parts.tm_year = date.year - 1900
        parts.tm_mon = date.month - 1
        parts.tm_mday = date.day
        let midnight = Int64(timegm(&parts))
        // What does not exist, such as 30 February, comes back as another day.
        guard parts.tm_mday == date.day, parts.tm_mon == date.month - 1 else { return nil }
        let seconds = midnight + Int64(time) - Int64(offset)
        guard Self.representable.contains(seconds) else { return nil }
        unixSeconds = seconds
    }
}

extension MailerQTime {
    private struct Scanner {
        private var bytes: ArraySlice<UInt8>

        init(_ text: String) {
            bytes = Array(text.utf8)[...]
            skipSpace()
            while let last = bytes.last, Self.isSpace(last) { bytes.removeLast() }
        }

        var isAtEnd: Bool { bytes.isEmpty }

        mutating func date() -> (year: Int32, month: Int32, day: Int32)? {
            guard let year = number(4), take("-/") != nil, let month = number(2), take("-/") != nil,
                let day = number(2), (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day)
            else { return nil }
            return (year, month, day)
        }

        /// Seconds since midnight; a leap second is the first second of the next minute.
        mutating func time() -> Int32? {
            if take("Tt") == nil {
                guard let first = bytes.first, Self.isSpace(first) else { return nil }
                skipSpace()
            }
            guard let hour = number(2), take(":") != nil, let minute = number(2), hour < 24, minute < 60 else {
                return nil
            }
            var second: Int32 = 0
            if take(":") != nil {
                guard let value = number(2), value <= 60 else { return nil }
                second = value
                if take(".,") != nil {
                    guard number(1) != nil else { return nil }
                    while number(1) != nil {}
                }
            }
            return hour * 3600 + minute * 60 + second
        }

        /// Seconds east of UTC; none is UTC.
        mutating func offset() -> Int32? {
            skipSpace()
            if bytes.isEmpty || take("Zz") != nil { return 0 }
            guard let sign = take("+-"), let hours = number(2) else { return nil }
            _ = take(":")
            guard let minutes = number(2), hours < 24, minutes < 60 else { return nil }
            return (hours * 3600 + minutes * 60) * (sign == UInt8(ascii: "-") ? -1 : 1)
        }

        private mutating func number(_ width: Int) -> Int32? {
            guard bytes.count >= width, bytes.prefix(width).allSatisfy({ (0x30...0x39).contains($0) }) else {
                return nil
            }
            let value = bytes.prefix(width).reduce(Int32(0)) { $0 * 10 + Int32($1 - 0x30) }
            bytes.removeFirst(width)
            return value
        }

        private mutating func take(_ allowed: String) -> UInt8? {
            guard let first = bytes.first, allowed.utf8.contains(first) else { return nil }
            bytes.removeFirst()
            return first
        }

        private mutating func skipSpace() {
            while let first = bytes.first, Self.isSpace(first) { bytes.removeFirst() }
        }

        private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
    }
}
