// One call of the HTTP API, before any transport: built by the commands, and tested as a value.

import JSON

struct APIRequest: Sendable {
    enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"
    }

    enum Body: Sendable {
        case json(JSONValue)
        case message([UInt8])
    }

    /// What all paths of one kind begin with.
    enum Root: String, Sendable {
        /// A vault's.
        case v1
        /// The instance's, for people.
        case api
        /// The way in, and one's own account.
        case auth
    }

    var method: Method
    var root: Root
    /// Segments below the root, not yet escaped.
    var path: [String]
    var query: [(name: String, value: String)] = []
    var headers: [(name: String, value: String)] = []
    var body: Body? = nil

    init(_ method: Method, in root: Root = .v1, _ path: String..., json: JSONObject? = nil) {
        self.method = method
        self.root = root
        self.path = path
        body = json.map { .json(.object($0)) }
    }

    /// Adds `name=value`, unless there is no value.
    mutating func ask(_ name: String, _ value: String?) {
        if let value { query.append((name, value)) }
    }

    /// Path and query as they stand in the request line.
    var target: String {
        var target = "/\(root.rawValue)"
        for segment in path { target += "/" + Self.escapedSegment(segment) }
        for (index, item) in query.enumerated() {
            target += (index == 0 ? "?" : "&") + Self.escaped(item.name) + "=" + Self.escaped(item.value)
        }
        return target
    }

    var contentType: String? {
        switch body {
        case .json: "application/json"
        case .message: "message/rfc822"
        case nil: nil
        }
    }

    var bodyBytes: [UInt8]? {
        switch body {
        case .json(let value): JSONWriter.write(value)
        case .message(let bytes): bytes
        case nil: nil
        }
    }

    /// An id that is only dots must not climb out of its collection.
    private static func escapedSegment(_ segment: String) -> String {
        segment.allSatisfy { $0 == "." } ? String(repeating: "%2E", count: segment.count) : escaped(segment)
    }

    /// All but RFC 3986's unreserved characters are escaped.
    static func escaped(_ text: String) -> String {
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
