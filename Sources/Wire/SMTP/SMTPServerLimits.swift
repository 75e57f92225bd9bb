// Every limit of the SMTP server in one place (RFC 5321 §4.5.3), so that an operator can read what a client may do.

package import NIOCore

/// What one client may cost us. Sizes are octets; a line's size counts its CRLF unless said otherwise.
package struct SMTPServerLimits: Sendable {
    /// A command line. RFC 5321 §4.5.3.1.4 asks for 512, SIZE, DSN, AUTH=, BODY and SMTPUTF8 add some 1,200 to it.
    /// Longer ones get 500 5.5.6. Default 2,048.
    package var commandLine = 2_048
    /// A line of an AUTH exchange (RFC 4954 §4: 12,288). Default 12,288.
    package var authenticationLine = 12_288
    /// A line of the message without its CRLF and without the stuffed dot (RFC 5321 §4.5.3.1.6: 998). A message with
    /// a longer one gets 500 5.6.0 at its end. `nil` takes lines of any length. Default 998.
    package var dataLine: Int? = 998
    /// A message as it arrives, announced in `SIZE`. Larger ones get 552 5.3.4. Default 26,214,400 (25 MiB).
    package var messageSize = 26_214_400
    /// Octets of one refused line or chunk, or of the rest of one refused message, that are read and thrown away so
    /// that the client sees our reply. Beyond them we hang up. Default 26,214,400.
    package var discardedOctets = 26_214_400
    /// Recipients of one message (RFC 5321 §4.5.3.1.8: at least 100). Further ones get 452 4.5.3. Default 1,000.
    package var recipients = 1_000
    /// Messages of one session; then 421. Default 10,000.
    package var messages = 10_000
    /// Errors of the client in one session, then 421 4.7.0. Refused recipients of an authenticated client do not
    /// count. Default 20.
    package var errors = 20
    /// Failed AUTH attempts of one session, then 421 4.7.0. Default 3.
    package var authenticationFailures = 3
    /// Commands without authentication and without a transaction, then 421 4.7.0. Default 50.
    package var unauthenticatedCommands = 50

    /// Connections at a time in all. Further ones get 421 4.7.0. Default 2,000.
    package var connections = 2_000
    /// Connections at a time of one IPv4 address or one IPv6 /64. Further ones get 421 4.7.0. Default 200.
    package var connectionsPerAddress = 200

    /// How long we listen for early talkers before we greet. Default 1 ms: enough for what is sent at once; a public
    /// MX may want seconds, but at most 5 minutes (RFC 5321 §4.5.3.2.1).
    package var greetingDelay: TimeAmount = .milliseconds(1)
    /// From one command to the whole of the next (RFC 5321 §4.5.3.2.7: at least 5 minutes). Default 5 minutes.
    package var commandTimeout: TimeAmount = .minutes(5)
    /// Between two pieces of a message (RFC 5321 §4.5.3.2.5: 3 minutes). Default 3 minutes.
    package var dataTimeout: TimeAmount = .minutes(3)
    /// For a TLS handshake. Default 30 seconds.
    package var handshakeTimeout: TimeAmount = .seconds(30)
    /// A whole session; over it the client gets 421 4.4.2 as soon as no message is being stored. Default 1 hour.
    package var sessionTime: TimeAmount = .hours(1)
    /// How long we go on reading and discarding after our last reply, so that it is not lost to a TCP reset.
    /// Default 2 seconds.
    package var lingerTime: TimeAmount = .seconds(2)

    package init() {}
}
