// Answers: JSON documents, lists with a cursor, problem documents (RFC 9457).

import HTTPTypes
import Hummingbird
import JSON
import Model
import NIOCore

extension Response {
    static func json(_ bytes: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status,
            headers: [.contentType: "application/json; charset=utf-8", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    static func json(status: HTTPResponse.Status = .ok, _ write: (inout JSONWriter) -> Void) -> Response {
        var writer = JSONWriter()
        write(&writer)
        return json(writer.bytes, status: status)
    }

    /// `{"data":[…],"next_cursor":…}`. A full page has a cursor, even where nothing follows: it costs one empty page.
    static func list<Item>(
        _ items: [Item],
        limit: Int,
        cursor: (Item) -> String,
        _ write: (Item, inout JSONWriter) -> Void
    ) -> Response {
        json { writer in
            writer.object { writer in
                writer.name("data")
                writer.array { writer in
                    for item in items { write(item, &writer) }
                }
                writer.member("next_cursor", items.count == limit ? items.last.map(cursor) : nil)
            }
        }
    }

    /// - Parameters:
    ///   - docs: where the error is explained.
    static func problem(_ error: PosternError, requestID: String, docs: String) -> Response {
        var writer = JSONWriter(capacity: 512)
        writer.object { writer in
            writer.member("type", docs)
            writer.member("title", error.code.entry.title)
            writer.member("status", error.code.entry.httpStatus)
            writer.member("code", error.code.rawValue)
            writer.member("detail", error.detail)
            writer.member("fix", error.fix)
            writer.member("docs", docs)
            writer.member("request_id", requestID)
            if !error.problems.isEmpty {
                writer.name("errors")
                writer.array { writer in
                    for problem in error.problems {
                        writer.object { writer in
                            writer.member("pointer", problem.pointer)
                            writer.member("message", problem.message)
                            writer.member("code", Self.code(of: problem, error))
                        }
                    }
                }
            }
        }
        var headers: HTTPFields = [.contentType: "application/problem+json; charset=utf-8", .cacheControl: "no-store"]
        if let seconds = error.retryAfter { headers[.retryAfter] = String(seconds) }
        if let rate = error.rate { headers.show(rate) }
        if error.code == .unauthorized { headers[.wwwAuthenticate] = "Bearer realm=\"postern\"" }
        return Response(
            status: HTTPResponse.Status(code: error.code.entry.httpStatus), headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: writer.bytes)))
    }
}

extension Response {
    private static func code(of problem: JSONProblem, _ error: PosternError) -> String {
        if error.code == .unsupportedFeature { return "unsupported" }
        return problem.message.hasPrefix("unknown ") ? "unknown_field" : "invalid"
    }
}

extension HTTPFields {
    /// What is left of a limit: the fields of draft-ietf-httpapi-ratelimit-headers, and the three older ones that clients know.
    mutating func show(_ rate: RateStatus) {
        let window = 3600
        self[.rateLimitPolicy] = "\"\(rate.name)\";q=\(rate.limit.perHour);w=\(window)"
        self[.rateLimit] = "\"\(rate.name)\";r=\(rate.remaining);t=\(rate.resetSeconds)"
        self[.rateLimitLimit] = String(rate.limit.perHour)
        self[.rateLimitRemaining] = String(rate.remaining)
        self[.rateLimitReset] = String(rate.resetSeconds)
    }
}

extension HTTPField.Name {
    fileprivate static let rateLimit = HTTPField.Name("RateLimit")!
    fileprivate static let rateLimitPolicy = HTTPField.Name("RateLimit-Policy")!
    fileprivate static let rateLimitLimit = HTTPField.Name("RateLimit-Limit")!
    fileprivate static let rateLimitRemaining = HTTPField.Name("RateLimit-Remaining")!
    fileprivate static let rateLimitReset = HTTPField.Name("RateLimit-Reset")!
}

extension JSONWriter {
    mutating func member(_ name: String, _ time: Timestamp) { member(name, time.description) }
    mutating func member(_ name: String, _ time: Timestamp?) { member(name, time?.description) }
    mutating func member(_ name: String, _ text: Foreign<String>?) { member(name, text?.asData()) }
}
