// Mailgun's API as its client libraries see it: https://…/mailgun in place of https://api.mailgun.net.

import Dialects
import Forms
import FoundationEssentials
import Gate
import JSON
import MIME
import Mapping
package import Model
import Outbox
package import Sealing

package struct MailgunAPI: ProviderAPI {
    package let base = "/mailgun"

    package init() {}

    package var operations: [ProviderOperation] {
        [
            ProviderOperation("POST", "/v3/{domain}/messages", .messageSend) { request, caller, services in
                try await Self.send(request, isFinished: false, by: caller, services)
            },
            ProviderOperation("POST", "/v3/{domain}/messages.mime", .messageSend) { request, caller, services in
                try await Self.send(request, isFinished: true, by: caller, services)
            },
            // Clients ask for the domains to learn whether a key is good.
            ProviderOperation("GET", "/v3/domains", .selfRead) { _, caller, services in
                try await MailgunDomains.list(for: caller, services)
            },
            ProviderOperation("GET", "/v3/domains/{domain}", .selfRead) { request, caller, services in
                try await MailgunDomains.show(request, for: caller, services)
            },
        ]
    }

    /// HTTP Basic with the user `api`.
    package func credentials(_ request: ProviderRequest) throws(PosternError) -> Secret<String> {
        guard let basic = request.authorization("basic"), let data = Data(base64Encoded: basic),
            let text = String(data: data, encoding: .utf8),
            let colon = text.firstIndex(of: ":"), text[..<colon] == "api"
        else { throw PosternError(.unauthorized, "the request has no Authorization: Basic field of the user api") }
        return Secret(String(text[text.index(after: colon)...]))
    }

    /// `{"message": …}`
    package func refusal(_ error: PosternError, requestID: String, path: String) -> ProviderAnswer {
        let status = error.code.entry.httpStatus
        let isKnown = status >= 500 || [400, 401, 403, 404, 405, 409, 413, 429].contains(status)
        return .json(isKnown ? status : 400) { writer in
            writer.object { $0.member("message", .string(Self.message(of: error))) }
        }
    }

    private static func message(of error: PosternError) -> String {
        if error.code == .unauthorized { return "Forbidden" }
        guard !error.problems.isEmpty else { return "\(error.detail). \(error.fix)" }
        return error.problems.map { "\($0.pointer.isEmpty ? "the message" : $0.pointer) \($0.message)" }
            .joined(separator: "; ")
    }

    private static func send(
        _ request: ProviderRequest,
        isFinished: Bool,
        by caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        _ = try await MailgunDomains.allowed(request, for: caller, services)
        let form = try form(request)
        guard form.values("message").isEmpty != isFinished else {
            throw PosternError.validation([
                JSONProblem(pointer: "message", message: isFinished ? "is required" : "belongs to messages.mime")
            ])
        }
        let receipt = try await services.submit(
            .mailgun, .form(form), by: caller, request: request, idempotencyKey: request.header("idempotency-key"))
        let id =
            MailgunDialect.messageID(of: form, correlation: receipt.correlation) ?? receipt.entries[0].id.text
        return .json { writer in
            writer.object { writer in
                writer.member("id", "<\(id)>")
                writer.member("message", "Queued. Thank you.")
            }
        }
    }

    private static func form(_ request: ProviderRequest) throws(PosternError) -> Form {
        do throws(FormError) {
            return try FormParser.form(
                request.body, contentType: request.header("content-type") ?? "",
                limits: FormLimits(bytes: request.body.count))
        } catch {
            switch error.code {
            case .notAForm: throw PosternError(.unsupportedMediaType, "\(error)")
            case .tooLarge: throw PosternError(.messageTooLarge, "\(error)")
            default: throw PosternError(.validationFailed, "\(error)")
            }
        }
    }
}
