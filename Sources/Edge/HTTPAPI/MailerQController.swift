// MailerQ's own operations behind our gate: which there are, and the way through to those that are open.

import Gate
import HTTPTypes
import Hummingbird
import JSON
import MailerQREST
import Model
import NIOCore
import Store
import WebClient

struct MailerQController: Sendable {
    private static let prefix = "/v1/mailerq"

    let proxy: MailerQProxy?
    let audit: AuditRepository

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, Self.prefix, .mailerqRead, list),
            Endpoint(.get, "\(Self.prefix)/{path}", .mailerqRead, isRest: true, pass),
            Endpoint(.post, "\(Self.prefix)/{path}", .mailerqWrite, isRest: true, pass),
            Endpoint(.delete, "\(Self.prefix)/{path}", .mailerqWrite, isRest: true, pass),
        ]
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        var query = Query(call.request)
        try query.finish()
        let operations = proxy?.operations.list ?? MailerQOperation.all.map { ($0, false) }
        let summary = proxy?.summary
        return .json { writer in
            writer.object { writer in
                writer.member("configured", proxy != nil)
                writer.name("operations")
                writer.array { writer in
                    for (operation, isOpen) in operations {
                        writer.object { writer in
                            writer.member("method", operation.method.rawValue)
                            writer.member("path", operation.path)
                            writer.member("open", isOpen)
                        }
                    }
                }
                writer.member("in_flight", summary?.inFlight ?? 0)
                writer.name("last_hour")
                writer.object { writer in
                    writer.member("requests", summary?.requests ?? 0)
                    writer.member("errors", summary?.errors ?? 0)
                    writer.member("error_rate", .number(summary?.errorRate ?? 0))
                }
            }
        }
    }

    @Sendable private func pass(_ call: Call) async throws -> Response {
        let path = call.request.uri.path
        // HEAD is the router's own, made of GET.
        let method = call.request.method == .head ? .get : call.request.method
        guard let proxy, path.hasPrefix("\(Self.prefix)/"),
            let operation = proxy.operations.find(method.rawValue, path.dropFirst(Self.prefix.count))
        else {
            // Word for word what a path says that nobody has thought of.
            throw HTTPError(.notFound)
        }
        var request = MailerQProxy.Request(
            operation, caller: call.caller, requestID: call.context.requestID)
        var query = Query(call.request)
        if operation.changesSomething {
            try query.finish()
            var reader = try await call.form()
            request.body = operation.document(&reader)
            guard reader.problems.isEmpty else { throw PosternError.validation(reader.problems) }
        } else {
            request.query = try Self.query(of: operation, &query)
        }
        if operation.changesSomething {
            // Before it happens: what MailerQ does cannot be undone where our database fails afterwards.
            let entry = call.audit(
                .mailerqWrite, "mailerq\(operation.path)",
                after: .object(
                    JSONObject(["method": .string(operation.method.rawValue), "body": Self.document(request.body)])))
            try await audit.append(entry, in: call.vault)
        }
        let answer: MailerQProxy.Answer
        do {
            answer = try await proxy.perform(request)
        } catch {
            guard operation.changesSomething else { throw error }
            let failure = AuditEntry(
                id: call.ids.next(), at: call.clock.now(), actor: call.actor, action: Action.mailerqWrite.rawValue,
                resource: "mailerq\(operation.path)", outcome: .failed,
                reason: error.code.rawValue)
            try await audit.append(failure, in: call.vault)
            throw error
        }
        return Response(
            status: HTTPResponse.Status(code: answer.status),
            headers: [.contentType: answer.contentType, .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body)))
    }

    /// What is handed over, which `operation.document` has just written.
    private static func document(_ body: [UInt8]?) -> JSONValue { body.flatMap { try? JSONParser.parse($0) } ?? .null }

    /// The declared parameters, each once, escaped anew.
    private static func query(of operation: MailerQOperation, _ query: inout Query) throws(PosternError) -> String {
        var parts: [String] = []
        for field in operation.fields {
            if query.all(field.name).count > 1 { query.problem("must be given once", field.name) }
            if let value = query.text(field.name) {
                parts.append("\(field.name)=\(WebRequest.escaped(value))")
            } else if field.isRequired {
                query.problem("is required", field.name)
            }
        }
        try query.finish()
        return parts.joined(separator: "&")
    }
}
