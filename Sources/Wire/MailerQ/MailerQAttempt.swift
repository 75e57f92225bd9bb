// One delivery attempt in a result: the 5.x form (`state`, `result`) and that of 3.0 (`type`, states with spaces).
// Mailerq/5.13/json-results.md and Mailerq/3.0/result-queue.md.

import JSON

/// Where an attempt stopped.
package enum MailerQState: String, Hashable, Sendable, CaseIterable {
    // Inside MailerQ, before anybody was asked.
    case process, suppression, storage, responsive, personalize, rewrite, dns, bind
    // On the way to the other server, and in the conversation with it.
    case connect, handshake, intro, ehlo, helo, starttls, authplain, authlogin, authusername, authpassword, authcram
    case authresponse, mailfrom, rcptto, data, message, idle
    case unknown

    /// Reads it without regard to case, spaces and punctuation: 3.0 wrote "rcpt to", and "accept" for the end of data.
    init(text: String) {
        let letters = text.utf8.prefix(64).map { $0 | 0x20 }.filter { (0x61...0x7A).contains($0) }
        switch String(decoding: letters, as: UTF8.self) {
        case "accept": self = .message
        case "amqp": self = .process
        case let name: self = MailerQState(rawValue: name) ?? .unknown
        }
    }
}

package struct MailerQAttempt: Hashable, Sendable {
    package enum Outcome: String, Hashable, Sendable {
        case accepted, timeout, lost, invalid, error
        case unknown
    }

    /// The place in `results`, from 1: the same in every result of a message.
    package var index: Int
    package var state = MailerQState.unknown
    package var outcome = Outcome.unknown
    package var time: MailerQTime?
    /// The remote host's name for itself.
    package var mta: String?
    package var localIP: String?
    package var remoteIP: String?
    /// SMTP reply code, 200 to 599. MailerQ may have made it itself.
    package var code: Int?
    /// Enhanced status code, `5.1.1`.
    package var status: String?
    /// The reply's text: a stranger's words.
    package var description: String?
    /// TLS cipher; `nil` for a connection in clear, or for none.
    package var cipher: String?
    /// Whether the remote certificate was verified.
    package var isVerified: Bool?
    /// Whether one of MailerQ's response patterns took the answer as final.
    package var isFatal: Bool?

    package init(index: Int) { self.index = index }

    /// Whether the reply says "never": a 5yz code, or an enhanced one of class 5 where there is no code.
    package var isRefusal: Bool {
        if let code { return code >= 500 }
        return status?.utf8.first == UInt8(ascii: "5")
    }
}

extension MailerQAttempt {
    /// Takes what it understands and leaves the rest: every member may be missing or of another type.
    init(_ value: JSONValue, index: Int, limits: MailerQLimits) {
        self.init(index: index)
        guard let object = value.objectValue else { return }
        func word(_ name: String) -> String? {
            object[name]?.stringValue?.bounded(limits.wordBytes).nonEmpty
        }
        if let text = object["state"]?.stringValue { state = MailerQState(text: text) }
        if let result = object["result"]?.stringValue {
            outcome = Outcome(rawValue: result.bounded(64).lowercased()) ?? .unknown
        } else if let type = object["type"]?.stringValue {
            readType(type.bounded(64).lowercased())
        }
        time = object["time"]?.stringValue.flatMap(MailerQTime.init)
        mta = word("mta")
        localIP = word("from")
        remoteIP = word("to")
        code = object["code"].flatMap(Self.code)
        status = object["status"]?.stringValue.flatMap(Self.enhanced)
        description = object["description"]?.stringValue?.bounded(limits.descriptionBytes).nonEmpty
        cipher = object["cipher"]?.objectValue?["name"]?.stringValue?.bounded(limits.wordBytes).nonEmpty
        isVerified = object["certificate"]?.objectValue?["verified"]?.boolValue
        isFatal = object["fatal"]?.boolValue
    }

    /// The types of 3.0 say result and, but for three of them, state in one word.
    private mutating func readType(_ type: String) {
        switch type {
        case "success": (state, outcome) = (.message, .accepted)
        case "nohosts": (state, outcome) = (.dns, .error)
        case "bind": (state, outcome) = (.bind, .error)
        case "refused", "offline": (state, outcome) = (.connect, .error)
        case "connect": (state, outcome) = (.connect, .timeout)
        case "nodata": (state, outcome) = (.storage, .error)
        case "expired": (state, outcome) = (.process, .timeout)
        case "idle": (state, outcome) = (.idle, .lost)
        case "tls": (state, outcome) = (.starttls, .error)
        case "responsive": (state, outcome) = (.responsive, .error)
        case "noaccess":
            if state == .unknown { state = .handshake }
            outcome = .invalid
        case "overflow": outcome = .invalid
        case "error": outcome = .error
        case "lost": outcome = .lost
        case "timeout": outcome = .timeout
        default: outcome = .unknown
        }
    }

    private static func code(_ value: JSONValue) -> Int? {
        let code: Int? =
            switch value {
            case .integer(let integer): Int(exactly: integer)
            case .number(let number): Int(exactly: number)
            case .string(let text): text.utf8.count == 3 ? Int(text) : nil
            case .null, .bool, .array, .object: nil
            }
        return code.flatMap { (200...599).contains($0) ? $0 : nil }
    }

    /// RFC 3463: class 2, 4 or 5, then two numbers of one to three digits.
    private static func enhanced(_ text: String) -> String? {
        guard text.utf8.count <= 9 else { return nil }
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, ["2", "4", "5"].contains(String(parts[0])),
            parts.dropFirst().allSatisfy({ (1...3).contains($0.count) && $0.allSatisfy { (0x30...0x39).contains($0) } })
        else { return nil }
        return text
    }
}

extension String {
    /// At most so many bytes, cut between characters; control characters are replaced, and line ends become LF. What
    /// results from it can be kept anywhere: PostgreSQL takes no U+0000 in a text.
    func bounded(_ limit: Int) -> String {
        var bytes = Array(utf8.prefix(limit + 1))
        if bytes.count > limit {
            while let last = bytes.popLast(), last & 0xC0 == 0x80 {}
        }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        for byte in bytes where byte != 0x0D {
            result.append((byte < 0x20 && byte != 0x0A && byte != 0x09) || byte == 0x7F ? 0x20 : byte)
        }
        return String(decoding: result, as: UTF8.self)
    }

    fileprivate var nonEmpty: String? { isEmpty ? nil : self }
}
