// One request and its answer, as plain values.

package struct WebRequest: Sendable {
    package enum Method: String, Sendable, CaseIterable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case delete = "DELETE"
    }

    package var method: Method
    /// Path and query below the endpoint's base, escaped, beginning with a slash; empty for a whole address.
    package var target: String
    package var body: [UInt8]?
    package var contentType: String?
    /// Goes along as X-Request-Id, so that both sides' logs can be laid beside each other.
    package var requestID: String?
    /// Further fields. Names and values are the program's own words, never a caller's.
    package var fields: [(name: String, value: String)] = []
    /// Seconds for the whole exchange; `nil` is the client's own limit.
    package var timeout: Double?

    package init(
        _ method: Method,
        _ target: String,
        body: [UInt8]? = nil,
        contentType: String? = nil,
        requestID: String? = nil,
        timeout: Double? = nil
    ) {
        precondition(target.isEmpty || target.hasPrefix("/"), "a target is a path below the endpoint's base")
        self.method = method
        self.target = target
        self.body = body
        self.contentType = contentType
        self.requestID = requestID
        self.timeout = timeout
    }

    /// A JSON document as the body.
    package static func json(_ method: Method, _ target: String, _ document: [UInt8]) -> WebRequest {
        WebRequest(method, target, body: document, contentType: "application/json")
    }

    /// A path segment or a query's word: all but RFC 3986's unreserved characters are escaped.
    package static func escaped(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

package struct WebResponse: Sendable {
    /// 200–299 or 400–599; a redirect is an error.
    package let status: Int
    package let contentType: String?
    /// Seconds of a Retry-After that names seconds (RFC 9110 §10.2.3).
    package let retryAfter: Int?
    /// A stranger's bytes, no more of them than the limit allows.
    package let body: [UInt8]

    package init(status: Int, contentType: String? = nil, retryAfter: Int? = nil, body: [UInt8] = []) {
        self.status = status
        self.contentType = contentType
        self.retryAfter = retryAfter
        self.body = body
    }

    package var isSuccess: Bool { (200..<300).contains(status) }
}
