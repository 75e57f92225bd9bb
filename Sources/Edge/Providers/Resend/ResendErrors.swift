// What Postern refuses, in Resend's words: `{"statusCode", "name", "message"}` (https://resend.com/docs/api-reference/errors).

import JSON
import Model

enum ResendErrors {
    static let missingKey = PosternError(
        .unauthorized, "the request has no API key", fix: "Send a key of Postern's as Authorization: Bearer ak_….")

    static func answer(_ error: PosternError) -> ProviderAnswer {
        let (status, name) = form(error)
        return .json(status) { writer in
            writer.object { writer in
                writer.member("statusCode", status)
                writer.member("name", name)
                writer.member("message", error.sentence)
            }
        }
    }

    private static func form(_ error: PosternError) -> (status: Int, name: String) {
        switch error.code {
        case .unauthorized:
            // Resend tells a key that is not there from one that is wrong.
            error.detail == missingKey.detail ? (401, "missing_api_key") : (403, "invalid_api_key")
        case .forbidden: (401, "restricted_api_key")
        case .senderDomainNotAllowed, .approvalRequired: (403, "validation_error")
        case .malformedJSON: (400, "validation_error")
        case .notFound: (404, "not_found")
        case .methodNotAllowed: (405, "method_not_allowed")
        case .conflict: (409, "validation_error")
        case .idempotencyConflict: (409, "invalid_idempotent_request")
        case .rateLimited, .repeatedMessage: (429, "rate_limit_exceeded")
        case .validationFailed where error.problems.isEmpty && error.fix.contains("Idempotency-Key"):
            (400, "invalid_idempotency_key")
        case .validationFailed where error.problems.contains { $0.message == "is required" }:
            (422, "missing_required_field")
        default:
            error.code.entry.httpStatus >= 500
                ? (error.code.entry.httpStatus, "internal_server_error")
                : (error.code.entry.httpStatus, "validation_error")
        }
    }
}
