// What a header says about circles and automatic answers: one pass over its bytes, nothing copied. Ordinary mail has little
// more here than a few Received fields.

import Model

#if canImport(Glibc)
import Glibc
#endif

struct HeaderSigns: Hashable, Sendable {
    /// Trace fields (RFC 5321 §4.4), and those of them that we wrote ourselves.
    private(set) var received = 0
    private(set) var ownReceived = 0
    /// In-Reply-To or References says something. What Odoo writes into References of a first message is found out later.
    private(set) var mayBeAnswer = false
    /// RFC 3834 §5: Auto-Submitted other than `no`, of whatever kind.
    private(set) var isAutomatic = false
    /// `auto-replied`, or one of the older fields that say the same.
    private(set) var isAutomaticReply = false
    /// What only a mailing list's own mail has: List-Id (RFC 2919), or `Precedence: list`.
    private(set) var isFromList = false

    /// Ordinary mail, as far as its header says: nothing is left to look at.
    var areHarmless: Bool { !mayBeAnswer && !isAutomatic }

    private enum Field {
        case received, inReplyTo, references, autoSubmitted, autoReply, precedence, listID
    }

    /// The signs of fields that a caller gave one by one.
    /// - Parameter hostname: our own name, as our Received fields have it.
    init(_ headers: [Envelope.Header], hostname: [UInt8]) {
        for header in headers {
            var name = header.name
            guard let field = name.withUTF8({ Self.field(named: $0) }) else { continue }
            var value = header.value
            value.withUTF8 { note(field, $0, hostname) }
        }
    }

    /// The signs of a finished message, and where its body begins. Lines may end in CRLF or LF.
    static func read(_ message: [UInt8], hostname: [UInt8]) -> (signs: HeaderSigns, bodyStart: Int) {
        var signs = HeaderSigns([], hostname: hostname)
        let bodyStart = message.withUnsafeBufferPointer { signs.scan($0, hostname) }
        return (signs, bodyStart)
    }

    private mutating func scan(_ bytes: UnsafeBufferPointer<UInt8>, _ hostname: [UInt8]) -> Int {
        var position = 0
        while position < bytes.count {
            if bytes[position] == .lf { return position + 1 }
            if bytes[position] == .cr, position + 1 < bytes.count, bytes[position + 1] == .lf { return position + 2 }
            guard let (field, valueStart) = Self.field(in: bytes, at: position) else {
                position = bytes.endOfLine(from: position)
                continue
            }
            var end = bytes.endOfLine(from: valueStart)
            while end < bytes.count, bytes[end].isBlank { end = bytes.endOfLine(from: end) }
            note(field, UnsafeBufferPointer(rebasing: bytes[valueStart..<end]), hostname)
            position = end
        }
        return bytes.count
    }

    /// The field that begins here, if it is one of ours, and where its value begins. Most lines end at their first letter.
    @inline(__always)
    private static func field(in bytes: UnsafeBufferPointer<UInt8>, at start: Int) -> (Field, Int)? {
        switch bytes[start] | 0x20 {
        case UInt8(ascii: "r"), UInt8(ascii: "i"), UInt8(ascii: "a"), UInt8(ascii: "x"), UInt8(ascii: "p"),
            UInt8(ascii: "l"):
            break
        default: return nil
        }
        var nameEnd = start
        // The longest of the names has 14 octets.
        while nameEnd < bytes.count, nameEnd - start <= 14, bytes[nameEnd] != UInt8(ascii: ":"), !bytes[nameEnd].isBlank
        {
            nameEnd += 1
        }
        guard let field = field(named: UnsafeBufferPointer(rebasing: bytes[start..<nameEnd])) else { return nil }
        var colon = nameEnd
        // RFC 5322 §4.5: white space before the colon is obsolete, and allowed.
        while colon < bytes.count, bytes[colon].isBlank { colon += 1 }
        guard colon < bytes.count, bytes[colon] == UInt8(ascii: ":") else { return nil }
        return (field, colon + 1)
    }

    private static func field(named name: UnsafeBufferPointer<UInt8>) -> Field? {
        switch name.count {
        case 7: name.isSame(as: "list-id") ? .listID : nil
        case 8: name.isSame(as: "received") ? .received : nil
        case 10: name.isSame(as: "references") ? .references : name.isSame(as: "precedence") ? .precedence : nil
        case 11: name.isSame(as: "in-reply-to") ? .inReplyTo : name.isSame(as: "x-autoreply") ? .autoReply : nil
        case 13: name.isSame(as: "x-autorespond") ? .autoReply : nil
        case 14: name.isSame(as: "auto-submitted") ? .autoSubmitted : nil
        default: nil
        }
    }

    private mutating func note(_ field: Field, _ value: UnsafeBufferPointer<UInt8>, _ hostname: [UInt8]) {
        switch field {
        case .received:
            received += 1
            if value.isOurTrace(hostname) { ownReceived += 1 }
        case .inReplyTo, .references: mayBeAnswer = mayBeAnswer || value.contains { !$0.isSpace }
        case .autoSubmitted:
            let keyword = value.keyword
            guard !keyword.isEmpty, !keyword.isSame(as: "no") else { return }
            isAutomatic = true
            if keyword.isSame(as: "auto-replied") { isAutomaticReply = true }
        case .autoReply:
            let keyword = value.keyword
            guard !keyword.isEmpty, !keyword.isSame(as: "no"), !keyword.isSame(as: "false") else { return }
            isAutomatic = true
            isAutomaticReply = true
        case .precedence:
            // `bulk` and `junk` say nothing here: autoresponders put them into their own replies, so that nobody answers
            // those (RFC 3834 §3.1.8), and newsletters have them too.
            let keyword = value.keyword
            if keyword.isSame(as: "auto_reply") {
                isAutomatic = true
                isAutomaticReply = true
            } else if keyword.isSame(as: "list") {
                isFromList = true
            }
        case .listID: isFromList = isFromList || value.contains { !$0.isSpace }
        }
    }
}

extension UInt8 {
    fileprivate static var lf: UInt8 { 0x0A }
    fileprivate static var cr: UInt8 { 0x0D }
    fileprivate var isBlank: Bool { self == 0x20 || self == 0x09 }
    fileprivate var isSpace: Bool { isBlank || self == .cr || self == .lf }
    fileprivate var lowercased: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }
}

extension UnsafeBufferPointer<UInt8> {
    /// Behind the next line feed, or the end.
    @inline(__always)
    func endOfLine(from start: Int) -> Int {
        guard start < count, let base = baseAddress, let hit = memchr(base + start, 0x0A, count - start) else {
            return count
        }
        return UnsafeRawPointer(hit) - UnsafeRawPointer(base) + 1
    }

    /// Without regard to case.
    /// - Parameter text: in lower case.
    fileprivate func isSame(as text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index].lowercased != text.utf8Start[index] { return false }
        return true
    }

    /// The first word of a value, behind comments and before parameters: `auto-replied` of ` (it says) auto-replied; a=b`.
    fileprivate var keyword: UnsafeBufferPointer<UInt8> {
        var start = 0
        var depth = 0
        scan: while start < count {
            switch self[start] {
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")") where depth > 0: depth -= 1
            case UInt8(ascii: "\\") where depth > 0: start += 1
            case let byte where depth == 0 && !byte.isSpace: break scan
            default: break
            }
            start += 1
        }
        guard start < count else { return UnsafeBufferPointer(start: nil, count: 0) }
        var end = start
        while end < count, !self[end].isSpace, self[end] != UInt8(ascii: ";"), self[end] != UInt8(ascii: "(") {
            end += 1
        }
        return UnsafeBufferPointer(rebasing: self[start..<end])
    }

    /// Whether a Received field is one of ours: `by <hostname> (Postern)`, folded wherever it has a space.
    fileprivate func isOurTrace(_ hostname: [UInt8]) -> Bool {
        guard !hostname.isEmpty else { return false }
        var index = 0
        while index < count {
            defer { index += 1 }
            guard self[index] == UInt8(ascii: "("), index + 9 <= count,
                UnsafeBufferPointer(rebasing: self[index..<(index + 9)]).isSame(as: "(postern)")
            else { continue }
            let nameEnd = endWithoutSpace(before: index)
            let nameStart = nameEnd - hostname.count
            guard nameEnd < index, nameStart > 0,
                (0..<hostname.count).allSatisfy({ self[nameStart + $0].lowercased == hostname[$0].lowercased })
            else { continue }
            let byEnd = endWithoutSpace(before: nameStart)
            guard byEnd < nameStart, byEnd >= 2,
                UnsafeBufferPointer(rebasing: self[(byEnd - 2)..<byEnd]).isSame(as: "by"),
                byEnd == 2 || self[byEnd - 3].isSpace
            else { continue }
            return true
        }
        return false
    }

    private func endWithoutSpace(before end: Int) -> Int {
        var end = end
        while end > 0, self[end - 1].isSpace { end -= 1 }
        return end
    }
}
