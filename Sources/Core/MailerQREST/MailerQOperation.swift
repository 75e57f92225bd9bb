// What MailerQ's REST API can be asked, with the words that each operation takes. Whatever is not in this table does not
// exist at our boundary.

package import JSON

package struct MailerQOperation: Sendable, Hashable, CustomStringConvertible {
    package enum Method: String, Sendable, Hashable, CaseIterable {
        case get = "GET"
        case post = "POST"
        case delete = "DELETE"
    }

    /// A member of the query or of the body.
    package struct Field: Sendable, Hashable {
        package enum Kind: Sendable, Hashable {
            case string, integer, bool
            /// MailerQ's documents say "timestamp" and not in which form.
            case time
        }

        package let name: String
        package let kind: Kind
        package let isRequired: Bool

        fileprivate init(_ name: String, _ kind: Kind = .string, required: Bool = false) {
            self.name = name
            self.kind = kind
            isRequired = required
        }
    }

    package let method: Method
    /// As MailerQ knows it, without parameters: `/v1/pauses`.
    package let path: String
    /// Query parameters of a GET, members of the body otherwise.
    package let fields: [Field]

    package var changesSomething: Bool { method != .get }
    package var description: String { "\(method.rawValue) \(path)" }
}

extension MailerQOperation {
    /// The three paths of the scope document, then MailerQ's documented REST API. `POST /v1/inject` is not here: what went
    /// that way would pass no rule of ours.
    package static let all: [MailerQOperation] =
        [
            MailerQOperation(method: .get, path: "/api/jobs", fields: []),
            MailerQOperation(method: .get, path: "/api/queues", fields: []),
            MailerQOperation(method: .get, path: "/api/results", fields: []),
        ]
        + resource("/v1/pauses", write: pause)
        + resource("/v1/errors", write: [Field("code", .integer, required: true)] + forced)
        + resource("/v1/pools", write: [Field("name", required: true), Field("description")])
        + resource("/v1/poolips", read: [Field("name")], write: [Field("ip", required: true), name])
        + resource(
            "/v1/suppressions",
            write: [
                Field("type", required: true), value, Field("code", .integer, required: true), Field("extended"),
                Field("description"),
            ], delete: [value, Field("type")])
        + resource("/v1/externalmtas", write: [publicIP] + mta, delete: [publicIP])

    private static let name = Field("name", required: true)
    private static let value = Field("value", required: true)
    private static let publicIP = Field("public_ip", required: true)
    private static let pause = [
        Field("pool"), Field("mta"), Field("domain"), Field("ip"), Field("tag"), Field("cluster", .bool),
        Field("expire", .time),
    ]
    private static let forced = [
        Field("extended"), Field("description"), Field("pool"), Field("mta"), Field("domain"), Field("tag"),
        Field("cluster", .bool),
    ]
    private static let mta = [
        Field("local_ip"), Field("connect_ip"), Field("connect_port", .integer), Field("protocol"),
    ]

    private static func resource(
        _ path: String,
        read: [Field] = [],
        write: [Field],
        delete: [Field]? = nil
    ) -> [MailerQOperation] {
        [
            MailerQOperation(method: .get, path: path, fields: read),
            MailerQOperation(method: .post, path: path, fields: write),
            MailerQOperation(method: .delete, path: path, fields: delete ?? write),
        ]
    }

    /// The body with what was given, in the table's order: nothing else goes out, and nothing twice.
    /// - Parameter reader: takes the problems of what is missing, mistyped or unknown.
    package func document(_ reader: inout JSONReader) -> [UInt8] {
        var object = JSONObject()
        for field in fields {
            let value: JSONValue? =
                switch field.kind {
                case .string: reader.string(field.name).map { .string($0) }
                case .integer: reader.integer(field.name).map { .integer($0) }
                case .bool: reader.bool(field.name).map { .bool($0) }
                case .time: Self.time(field.name, &reader)
                }
            object[field.name] = field.isRequired ? reader.required(field.name, value) : value
        }
        reader.finish()
        return JSONWriter.write(.object(object))
    }

    private static func time(_ name: String, _ reader: inout JSONReader) -> JSONValue? {
        guard let value = reader.value(name) else { return nil }
        if value.stringValue != nil || value.integerValue != nil { return value }
        reader.problem("expected a time as a string or an integer, found \(value.kind)", at: name)
        return nil
    }
}
