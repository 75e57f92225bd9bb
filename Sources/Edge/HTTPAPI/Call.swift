// One request on its way through an endpoint: who asks, and what stands in path, query and body.

import Forms
import Gate
import Hummingbird
import JSON
import Mapping
import Model
import NIOCore
import People
import Store

/// A call of whoever the endpoint is for.
struct Asking<Who: Sendable>: Sendable {
    let request: Request
    let context: APIContext
    let who: Who
    let clock: any WallClock
    let ids: IdentifierGenerator

    /// A parameter of the path, as it was sent.
    func parameter(_ name: String) -> String { context.parameters.get(name) ?? "" }

    /// An id from the path. An id that is malformed names nothing, so it is not found either.
    func id<Kind>(_ kind: Kind.Type = Kind.self, _ name: String = "id") throws(PosternError) -> Identifier<Kind> {
        guard let id = Identifier<Kind>(parameter(name)) else {
            throw PosternError(.notFound, "there is no such thing in this vault")
        }
        return id
    }

    /// Where the call comes from, for sign-ins and the audit log.
    var visit: Visit {
        Visit(
            address: context.remoteAddress, userAgent: request.headers[.userAgent].map { String($0.prefix(300)) },
            requestID: context.requestID, door: Door.http.rawValue)
    }

    /// The body as it came.
    /// - Throws: `message_too_large` beyond the limit, `validation_failed` when the client goes away in the middle.
    func body(upTo limit: Int) async throws -> ByteBuffer {
        let tooLarge = PosternError(.messageTooLarge, "the body is larger than \(limit) bytes")
        // An announced size is answered before it is on its way.
        if let announced = request.headers[.contentLength].flatMap(Int.init), announced > limit { throw tooLarge }
        do {
            return try await request.body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw tooLarge
        } catch {
            // Nobody may be left to read this, and it is no mistake of ours.
            throw PosternError(.validationFailed, "the body broke off before its end")
        }
    }

    /// The body as JSON, and its bytes.
    /// - Throws: `unsupported_media_type`, `malformed_json`, `message_too_large`.
    func document(upTo limit: Int) async throws -> (value: JSONValue, bytes: ByteBuffer) {
        if let type = request.headers[.contentType], !type.hasMediaType("application/json") {
            throw PosternError(
                .unsupportedMediaType, "the body is \(type.prefix(100)), and application/json is expected")
        }
        let bytes = try await body(upTo: limit)
        let result = bytes.withUnsafeReadableBytes { buffer in
            Result { () throws(JSONError) in try JSONParser.parse(buffer) }
        }
        switch result {
        case .success(let value): return (value, bytes)
        case .failure(let error): throw PosternError(.malformedJSON, error.description)
        }
    }

    /// The body as a payload of another tool: JSON, or a form of either kind.
    /// - Throws: `unsupported_media_type`, `malformed_json`, `malformed_form`, `message_too_large`.
    func payload(upTo limit: Int) async throws -> (value: NativePayload, bytes: ByteBuffer) {
        guard let type = request.headers[.contentType], type.isForm else {
            let (value, bytes) = try await document(upTo: limit)
            return (.json(value), bytes)
        }
        let bytes = try await body(upTo: limit)
        return (.form(try Self.form(Array(bytes.readableBytesView), type)), bytes)
    }

    /// - Throws: `malformed_form`.
    private static func form(_ bytes: [UInt8], _ contentType: String) throws(PosternError) -> Form {
        do throws(FormError) {
            return try FormParser.form(bytes, contentType: contentType, limits: FormLimits(bytes: bytes.count))
        } catch {
            throw PosternError(.malformedForm, error.description)
        }
    }

    /// The body of an administrative call: a JSON object of at most 256 KiB.
    func form() async throws -> JSONReader {
        let value = try await document(upTo: 256 * 1024).value
        guard let object = value.objectValue else {
            throw PosternError.validation([JSONProblem(pointer: "", message: "expected an object, found \(value.kind)")]
            )
        }
        return JSONReader(object)
    }

    /// A body of which nothing has to be given, and which may be missing as a whole.
    func optionalForm() async throws -> JSONReader {
        let isEmpty = request.headers[.contentType] == nil && request.headers[.contentLength] ?? "0" == "0"
        if isEmpty, request.headers[.transferEncoding] == nil { return JSONReader(JSONObject()) }
        return try await form()
    }
}

/// A caller in its vault: a key, a login, or a member.
typealias Call = Asking<Caller>
/// A person who signed in, wherever a vault does not matter or is named by the path.
typealias PersonCall = Asking<Person>
/// Anybody.
typealias OpenCall = Asking<Anybody>

struct Anybody: Sendable {}

/// Whoever the audit log can name.
protocol Named {
    var auditName: (id: String, label: String) { get }
}

extension Caller: Named {
    var auditName: (id: String, label: String) { (identity.id, label) }
}

extension Person: Named {
    var auditName: (id: String, label: String) { (id.text, email) }
}

extension Asking where Who: Named {
    var actor: Actor {
        let (id, label) = who.auditName
        return visit.actor(id: id, label: label)
    }

    /// What the audit log is to say of a change that this call makes.
    func audit(
        _ action: Action,
        _ resource: String,
        before: JSONValue? = nil,
        after: JSONValue? = nil
    ) -> AuditEntry {
        AuditEntry(
            id: ids.next(), at: clock.now(), actor: actor, action: action.rawValue, resource: resource, before: before,
            after: after)
    }

    /// Entries of the audit log for what this call does, where before and after are known only inside the transaction.
    func audits(_ action: Action) -> AuditMaker {
        { resource, before, after in audit(action, resource, before: before, after: after) }
    }
}

extension Asking<Caller> {
    var caller: Caller { who }
    var vault: VaultID { who.vault }
}

extension Asking<Person> {
    var person: Person { who }
}

extension String {
    /// Whether a Content-Type is that of an HTML form.
    var isForm: Bool {
        hasMediaType("application/x-www-form-urlencoded") || hasMediaType("multipart/form-data")
    }

    /// Whether a Content-Type is this media type, whatever its parameters.
    func hasMediaType(_ type: String) -> Bool {
        let isBlank: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        var essence = utf8.prefix { $0 != UInt8(ascii: ";") }.drop(while: isBlank)
        while let last = essence.last, isBlank(last) { essence.removeLast() }
        return essence.elementsEqual(type.utf8, by: { $0 | 0x20 == $1 | 0x20 })
    }
}
