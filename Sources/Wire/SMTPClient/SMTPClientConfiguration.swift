// The client's settings: how long it waits, how much it takes from a peer, how it keeps connections.

package struct SMTPClientConfiguration: Sendable {
    package var timeouts = SMTPClientTimeouts()
    package var limits = SMTPClientLimits()
    /// Connections to one destination at a time, idle ones included; further deliveries wait. Default 8.
    package var connectionsPerDestination = 8
    /// Messages over one connection before it is given up with QUIT; 1 turns reuse off. Default 100.
    package var messagesPerConnection = 100
    /// How long an unused connection is kept. Servers hang up after 5 minutes, some much earlier. Default 30 s.
    package var idleTimeout: Duration = .seconds(30)
    /// Off: one command, one reply, even where the peer offers PIPELINING. Default true.
    package var usesPipelining = true

    package init() {}
}

/// How long to wait for a peer. Defaults are those of RFC 5321 §4.5.3.2, which are minima; where it gives none, ours.
package struct SMTPClientTimeouts: Sendable {
    /// Name resolution and TCP. Default 30 s.
    package var connect: Duration = .seconds(30)
    /// The 220 after connecting, §4.5.3.2.1. Default 5 min.
    package var greeting: Duration = .seconds(300)
    /// EHLO, HELO, STARTTLS, each step of AUTH, RSET. Default 5 min.
    package var command: Duration = .seconds(300)
    /// The TLS handshake. Default 60 s.
    package var handshake: Duration = .seconds(60)
    /// MAIL, §4.5.3.2.2. Default 5 min.
    package var mail: Duration = .seconds(300)
    /// Each RCPT, §4.5.3.2.3. Default 5 min.
    package var rcpt: Duration = .seconds(300)
    /// The 354 after DATA, §4.5.3.2.4. Default 2 min.
    package var dataInitiation: Duration = .seconds(120)
    /// Each block of `SMTPClientLimits.blockSize` bytes of the message, §4.5.3.2.5. Default 3 min.
    package var dataBlock: Duration = .seconds(180)
    /// The reply to the final dot, §4.5.3.2.6. Default 10 min: giving up early makes duplicates.
    package var finalDot: Duration = .seconds(600)
    /// The 221 after QUIT; nothing depends on it. Default 5 s.
    package var quit: Duration = .seconds(5)

    package init() {}
}

/// How much is taken from a peer, and handed to it at once.
package struct SMTPClientLimits: Sendable {
    /// Octets of one reply line with its line end. RFC 5321 §4.5.3.1.5 says 512; some peers exceed it. Default 2048.
    package var replyLineLength = 2048
    /// Lines of one reply. Default 128.
    package var replyLines = 128
    /// RCPT commands of one transaction; RFC 5321 §4.5.3.1.8 promises that 100 are taken. Default 100.
    package var recipientsPerTransaction = 100
    /// Octets of the message written at a time. Default 64 KiB.
    package var blockSize = 64 * 1024
    /// Octets of one attempt's transcript; beyond, the middle is left out. Default 8 KiB.
    package var transcriptSize = 8 * 1024

    package init() {}
}
