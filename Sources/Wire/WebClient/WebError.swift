// Why there is no answer. The description can be shown and logged: no credentials, no address, nobody else's words.

package struct WebError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The configured address cannot be used.
        case invalidURL
        /// No connection: the name is not known, the port is closed, it took too long.
        case unreachable
        /// The certificate was not accepted, or there is no TLS at the other end.
        case tls
        /// Connected, and no complete answer in time.
        case timedOut
        /// The answer was a redirect. It is never followed: it would carry the credentials to wherever it points.
        case redirected
        /// The answer is larger than the limit.
        case tooLarge
        /// The connection broke, or what came was not HTTP.
        case broken
        /// The client was shut down, or the task that waited was cancelled.
        case cancelled
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// Whether the other side may have done what was asked, although it did not say so.
    package var mayHaveArrived: Bool {
        switch code {
        case .invalidURL, .unreachable, .tls: false
        case .timedOut, .redirected, .tooLarge, .broken, .cancelled: true
        }
    }

    package var description: String { message }
}
