// Postmark's operations that send: one message, and a batch of which each message is accepted or refused on its own.

import Dialects
import JSON
import Mapping
import Model
import Outbox

enum PostmarkSending {
    @Sendable
    static func one(
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        let document = try request.document()
        guard document.objectValue != nil else { throw Self.notAnObject(document) }
        let receipt = try await services.submit(
            .postmark, .json(document), by: caller, request: request,
            idempotencyKey: request.header("idempotency-key"))
        let now = services.clock.now()
        return .json { accepted(document, receipt, at: now, to: &$0) }
    }

    @Sendable
    static func batch(
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        let document = try request.document()
        guard let messages = document.arrayValue else {
            throw PosternError.validation([
                JSONProblem(pointer: "", message: "expected an array of messages, found \(document.kind)")
            ])
        }
        guard messages.count <= PostmarkDialect.batchLimit else { return PostmarkErrors.tooManyMessages }
        let key = try request.header("idempotency-key").map(IdempotencyKey.checked)
        var results: [Result<Receipt, PosternError>] = []
        var standstill: PosternError?
        for (index, message) in messages.enumerated() {
            if let standstill {
                results.append(.failure(standstill))
                continue
            }
            do throws(PosternError) {
                guard message.objectValue != nil else { throw Self.notAnObject(message) }
                results.append(
                    .success(
                        try await services.submit(
                            .postmark, .json(message), by: caller, request: request,
                            idempotencyKey: key, part: index)))
            } catch {
                // What cannot be taken now for a reason of ours cannot be a moment later either.
                if error.code.entry.httpStatus >= 500 { standstill = error }
                results.append(.failure(error))
            }
        }
        if let standstill, !results.contains(where: { (try? $0.get()) != nil }) { throw standstill }
        let now = services.clock.now()
        return .json { writer in
            writer.array { writer in
                for (message, result) in zip(messages, results) {
                    switch result {
                    case .success(let receipt): accepted(message, receipt, at: now, to: &writer)
                    case .failure(let error): PostmarkErrors.write(error, to: &writer)
                    }
                }
            }
        }
    }

    @Sendable
    static func template(
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        throw PosternError(
            .unsupportedFeature, "TemplateId, TemplateAlias: templates are not kept or rendered here",
            fix: "Render the message, and send its HtmlBody and TextBody with POST /email.")
    }

    private static func notAnObject(_ value: JSONValue) -> PosternError {
        .validation([JSONProblem(pointer: "", message: "expected an object, found \(value.kind)")])
    }

    /// The addresses are repeated as they came.
    private static func accepted(
        _ message: JSONValue,
        _ receipt: Receipt,
        at now: Timestamp,
        to writer: inout JSONWriter
    ) {
        writer.object { writer in
            for field in ["To", "Cc", "Bcc"] {
                if let text = message.objectValue?[field]?.stringValue, !text.isEmpty { writer.member(field, text) }
            }
            writer.member("SubmittedAt", now.description)
            writer.member("MessageID", receipt.entries[0].id.text)
            writer.member("ErrorCode", 0)
            writer.member("Message", "OK")
        }
    }
}
