// Resend's operations that send: one email, and a batch that is accepted as a whole, or message by message where the caller
// asks for it.

import Dialects
import JSON
import Mapping
import Model
import Outbox

enum ResendSending {
    /// Bytes of a file that is written as an array of numbers (Python's `list(bytes)`).
    private static let elements = 2_000_000

    @Sendable
    static func one(
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        let document = try request.document(elements: elements)
        guard document.objectValue != nil else { throw problem("expected an object, found \(document.kind)") }
        let receipt = try await services.submit(
            .resend, .json(document), by: caller, request: request,
            idempotencyKey: request.header("idempotency-key"))
        return .json { writer in writer.object { $0.member("id", receipt.entries[0].id.text) } }
    }

    @Sendable
    static func batch(
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        let document = try request.document(elements: elements)
        guard let emails = document.arrayValue else {
            throw problem("expected an array of emails, found \(document.kind)")
        }
        switch request.header("x-batch-validation") {
        case nil, "strict":
            let receipt = try await services.submit(
                .resend, .json(document), by: caller, request: request,
                idempotencyKey: request.header("idempotency-key"))
            return .json { writer in writer.object { write(receipt.parts.map { $0[0] }, to: &$0) } }
        case "permissive": return try await permissive(emails, request, caller, services)
        case .some: throw problem("the field X-Batch-Validation is neither strict nor permissive")
        }
    }

    /// Each email on its own; what is not valid is told, and the rest goes.
    private static func permissive(
        _ emails: [JSONValue],
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        guard (1...ResendDialect.batchLimit).contains(emails.count) else {
            throw problem("a batch holds from 1 to \(ResendDialect.batchLimit) emails")
        }
        let key = try request.header("idempotency-key").map(IdempotencyKey.checked)
        var accepted: [Receipt.Entry] = []
        var refused: [(index: Int, error: PosternError)] = []
        for (index, email) in emails.enumerated() {
            do throws(PosternError) {
                guard email.objectValue != nil else { throw problem("expected an object, found \(email.kind)") }
                let receipt = try await services.submit(
                    .resend, .json(email), by: caller, request: request,
                    idempotencyKey: key, part: index)
                accepted.append(receipt.entries[0])
            } catch {
                // What is no fault of the email is the answer to all, as long as nothing was accepted.
                if accepted.isEmpty, error.code.entry.httpStatus >= 500 { throw error }
                refused.append((index, error))
            }
        }
        return .json { writer in
            writer.object { writer in
                write(accepted, to: &writer)
                writer.name("errors")
                writer.array { writer in
                    for (index, error) in refused {
                        writer.object { writer in
                            writer.member("index", index)
                            writer.member("message", error.sentence)
                        }
                    }
                }
            }
        }
    }

    private static func write(_ entries: [Receipt.Entry], to writer: inout JSONWriter) {
        writer.name("data")
        writer.array { writer in
            for entry in entries { writer.object { $0.member("id", entry.id.text) } }
        }
    }

    private static func problem(_ message: String) -> PosternError {
        .validation([JSONProblem(pointer: "", message: message)])
    }
}
