// MailerQ's REST API over the one outbound client, for the route that hands messages over by `POST /v1/inject`.

package import WebClient

package struct MailerQWebClient: MailerQHTTP {
    private let client: WebClient
    private let endpoint: WebEndpoint
    private let timeout: Double

    /// - Parameters:
    ///   - endpoint: MailerQ's address with its credentials.
    ///   - timeout: seconds for one message; large ones take longer than an operation does.
    package init(client: WebClient, endpoint: WebEndpoint, timeout: Double = 60) {
        self.client = client
        self.endpoint = endpoint
        self.timeout = timeout
    }

    package func post(path: String, body: [UInt8]) async -> Result<MailerQHTTPAnswer, MailerQHTTPFailure> {
        var request = WebRequest.json(.post, path, body)
        request.timeout = timeout
        do throws(WebError) {
            let response = try await client.send(request, to: endpoint)
            return .success(MailerQHTTPAnswer(status: response.status, body: response.body))
        } catch {
            // A wrong address, not a server in trouble: nothing was taken.
            if error.code == .redirected { return .success(MailerQHTTPAnswer(status: 302, body: [])) }
            return .failure(MailerQHTTPFailure(reason: "MailerQ: \(error.message)", isAmbiguous: error.mayHaveArrived))
        }
    }
}
