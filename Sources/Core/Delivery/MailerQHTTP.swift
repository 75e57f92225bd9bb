// What the route to MailerQ's REST API needs of an HTTP client, so that its tests need none.

package struct MailerQHTTPAnswer: Sendable {
    package let status: Int
    package let body: [UInt8]

    package init(status: Int, body: [UInt8]) {
        self.status = status
        self.body = body
    }
}

/// Why there is no answer.
package struct MailerQHTTPFailure: Error, Sendable {
    /// Shown in timelines: no URL, no credentials.
    package let reason: String
    /// Whether MailerQ may have got the request all the same.
    package let isAmbiguous: Bool

    package init(reason: String, isAmbiguous: Bool) {
        self.reason = reason
        self.isAmbiguous = isAmbiguous
    }
}

package protocol MailerQHTTP: Sendable {
    /// One POST of JSON with our credentials, bounded in time, without following redirects.
    /// - Parameter path: such as `/v1/inject`, below MailerQ's URL.
    func post(path: String, body: [UInt8]) async -> Result<MailerQHTTPAnswer, MailerQHTTPFailure>
}
