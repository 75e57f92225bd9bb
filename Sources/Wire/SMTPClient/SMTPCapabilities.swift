// What a peer says it can do: its reply to EHLO, read once (RFC 5321 §4.1.1.1).

import SMTP

struct SMTPCapabilities: Hashable, Sendable {
    var startTLS = false
    var pipelining = false
    var eightBitMIME = false
    var utf8 = false
    var dsn = false
    /// The largest message taken, in octets; nil when SIZE is not offered, or is offered without a limit (RFC 1870 §4).
    var maximumSize: Int?
    /// SIZE is offered, with or without a limit.
    var size = false
    var authentication: Set<SMTPAuthMechanism> = []

    /// After HELO: nothing.
    init() {}

    init(ehlo reply: SMTPReply) {
        // The first line is the peer's name and greeting.
        for line in reply.lines.dropFirst() {
            let words = line.uppercased().split(whereSeparator: { $0 == " " || $0 == "=" })
            guard let keyword = words.first else { continue }
            switch keyword {
            case "STARTTLS": startTLS = true
            case "PIPELINING": pipelining = true
            case "8BITMIME": eightBitMIME = true
            case "SMTPUTF8": utf8 = true
            case "DSN": dsn = true
            case "SIZE":
                size = true
                // 0 stands for no fixed limit.
                maximumSize = words.dropFirst().first.flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
            case "AUTH":
                // `AUTH=PLAIN LOGIN` was an early draft's form; some servers send it still.
                authentication.formUnion(words.dropFirst().compactMap { SMTPAuthMechanism(rawValue: String($0)) })
            default: break
            }
        }
    }
}
