// Whether a page of ours sent a request, as far as its browser says: for calls that make or use cookies and need no token,
// the sign-in above all, so that no other site signs somebody in as somebody else.

import HTTPTypes
import Hummingbird
import Model

enum RequestOrigin {
    /// - Parameter publicURL: where pages of ours come from.
    /// - Throws: `csrf_refused` for a request of another site's page. Programs send none of these fields, and pass.
    static func check(_ request: Request, publicURL: String) throws(PosternError) {
        // Fetch Metadata: browsers set it themselves, and `none` is what a person typed.
        if let site = request.headers[.secFetchSite], !["same-origin", "none"].contains(site) { throw refusal }
        guard let origin = request.headers[.origin] else { return }
        guard isOurs(origin, request, publicURL: publicURL) else { throw refusal }
    }

    /// Behind a proxy the public address is ours; without one, whatever host the request was sent to.
    static func isOurs(_ origin: String, _ request: Request, publicURL: String) -> Bool {
        if origin == self.origin(of: publicURL) { return true }
        guard let authority = request.head.authority else { return false }
        return origin == "http://\(authority)" || origin == "https://\(authority)"
    }

    /// Scheme, host and port of a URL, as browsers write them.
    static func origin(of url: String) -> String {
        var origin = url.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false).prefix(3)
            .joined(separator: "/").lowercased()
        for (scheme, port) in [("https:", ":443"), ("http:", ":80")]
        where origin.hasPrefix(scheme) && origin.hasSuffix(port) {
            origin.removeLast(port.utf8.count)
        }
        return origin
    }

    private static let refusal = PosternError(.csrfRefused, "the request was sent by a page of another site")
}

extension HTTPField.Name {
    fileprivate static let secFetchSite = HTTPField.Name("Sec-Fetch-Site")!
}
