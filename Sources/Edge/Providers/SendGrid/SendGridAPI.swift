// SendGrid's API as its client libraries see it: https://…/sendgrid in place of https://api.sendgrid.com.

import Dialects
import Gate
import JSON
import Mapping
package import Model
import Outbox
package import Sealing

package struct SendGridAPI: ProviderAPI {
    package let base = "/sendgrid"

    package init() {}

    package var operations: [ProviderOperation] {
        [
            ProviderOperation("POST", "/v3/mail/send", .messageSend) { request, caller, services in
                let receipt = try await services.submit(
                    .sendgrid, .json(try Self.document(request)), by: caller, request: request,
                    idempotencyKey: request.header("idempotency-key"))
                return ProviderAnswer(status: 202, headers: [("X-Message-Id", receipt.entries[0].id.text)])
            },
            // Tools call this to learn whether a key is good.
            ProviderOperation("GET", "/v3/scopes", .selfRead) { _, caller, _ in
                let maySend = caller.scopes.contains(.send) && !caller.isReadOnly
                return .json { writer in
                    writer.object { $0.member("scopes", maySend ? ["mail.send"] : [String]()) }
                }
            },
        ]
    }

    package func credentials(_ request: ProviderRequest) throws(PosternError) -> Secret<String> {
        guard let key = request.authorization("bearer") else {
            throw PosternError(.unauthorized, "the request has no Authorization: Bearer field")
        }
        return Secret(key)
    }

    /// `{"errors":[{"message","field","help"}]}`
    package func refusal(_ error: PosternError, requestID: String, path: String) -> ProviderAnswer {
        let status = error.code.entry.httpStatus
        var answer = ProviderAnswer.json(status == 422 ? 400 : status) { writer in
            writer.object { writer in
                writer.name("errors")
                writer.array { writer in
                    for (message, field) in Self.messages(of: error) {
                        writer.object { writer in
                            writer.member("message", .string(message))
                            writer.member("field", field.map(JSONValue.string) ?? .null)
                            writer.member("help", .string("\(error.code.rawValue): \(error.fix)"))
                        }
                    }
                }
            }
        }
        answer.headers += Self.limits(error)
        return answer
    }

    private static func document(_ request: ProviderRequest) throws(PosternError) -> JSONValue {
        guard request.mediaType == "application/json" else {
            throw PosternError(.unsupportedMediaType, "the Content-Type must be application/json")
        }
        return try request.document()
    }

    private static func messages(of error: PosternError) -> [(message: String, field: String?)] {
        switch error.code {
        case .unauthorized: [("The provided authorization grant is invalid, expired, or revoked", nil)]
        case .senderDomainNotAllowed: [(error.detail, "from")]
        case _ where error.problems.isEmpty: [(error.detail, nil)]
        default:
            error.problems.map { problem in
                let field = Self.field(problem.pointer)
                return ("\(field ?? "The payload") \(problem.message)", field)
            }
        }
    }

    /// `/personalizations/0/to/1/email` as SendGrid writes it: `personalizations.0.to.1.email`.
    private static func field(_ pointer: String) -> String? {
        guard pointer.hasPrefix("/") else { return nil }
        return pointer.split(separator: "/").map { step in
            step.split(separator: "~1", omittingEmptySubsequences: false).joined(separator: "/")
                .split(separator: "~0", omittingEmptySubsequences: false).joined(separator: "~")
        }.joined(separator: ".")
    }

    /// SendGrid's names for what is left of a limit.
    private static func limits(_ error: PosternError) -> [(name: String, value: String)] {
        guard let rate = error.rate else { return [] }
        return [
            ("X-RateLimit-Limit", String(rate.limit.perHour)), ("X-RateLimit-Remaining", String(rate.remaining)),
            ("X-RateLimit-Reset", String(rate.resetSeconds)),
        ]
    }
}
