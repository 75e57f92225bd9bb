// The alert webhook over the instance's own HTTP client: no redirects, bounded in time and size.

import Sealing
package import WebClient

package struct WebClientWebhook: AlertWebhook, CustomStringConvertible {
    private let client: WebClient
    private let endpoint: WebEndpoint
    /// Path and query: what such addresses hold instead of a password.
    private let target: Secret<String>

    /// - Parameter address: `https://user:password@host:port/path?query`.
    /// - Throws: `invalidURL`; the message never repeats the address.
    package init(_ address: String, client: WebClient) throws(WebError) {
        guard !address.contains("#") else { throw WebError(.invalidURL, "the address has a fragment") }
        let authority = address.firstRange(of: "://").map { $0.upperBound } ?? address.startIndex
        let end = address[authority...].firstIndex { $0 == "/" || $0 == "?" } ?? address.endIndex
        // The whole address is held to the endpoint's rules, only that a query is allowed here.
        let rest = address[end...]
        guard rest.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), !rest.contains("\\") else {
            throw WebError(.invalidURL, "the address holds a space, a control character or a backslash")
        }
        endpoint = try WebEndpoint.parse(String(address[..<end]))
        target = Secret(rest.hasPrefix("/") ? String(rest) : "/" + rest)
        self.client = client
    }

    /// Scheme, host and port: what may be shown.
    package var description: String { endpoint.description }

    package func post(_ body: [UInt8], headers: [(name: String, value: String)]) async throws -> Int {
        var request = WebRequest(.post, target.reveal(), body: body)
        request.fields = headers
        return try await client.send(request, to: endpoint).status
    }
}
