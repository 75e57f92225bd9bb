// Refusals in SES's words: the codes of its query API and of its JSON API for each of ours. AWS's clients make
// exceptions of them, and decide by them whether to try again.

import JSON
import Model

struct SESErrors {
    /// A code and the status that it comes with.
    typealias Kind = (code: String, status: Int)

    let query: Kind
    let json: Kind
    /// What SES says in the case; tools look for the words.
    let words: String?

    init(_ query: Kind, _ json: Kind, words: String? = nil) {
        (self.query, self.json, self.words) = (query, json, words)
    }

    init(_ error: PosternError) {
        self =
            switch error.code {
            case .unauthorized: Self.unauthorized(error)
            // Of these, what only people meet has no words in SES.
            case .forbidden, .approvalRequired, .reauthenticationRequired, .csrfRefused, .signInRefused,
                .featureNotInPlan:
                Self(("AccessDenied", 403), ("AccessDeniedException", 403))
            case .vaultSuspended, .vaultArchived:
                Self(
                    ("AccountSendingPausedException", 400), ("SendingPausedException", 400),
                    words: "Email sending is disabled for your account.")
            case .secondFactorRequired: Self.unauthorized(error)
            case .senderDomainNotAllowed: Self.rejected(words: "Email address is not verified.")
            case .malformedMessage, .messageTooLarge, .mailLoop, .repeatedMessage, .settingUnset, .noIPPool:
                Self.rejected(words: nil)
            case .validationFailed, .vaultRequired, .weakPassword, .unsupportedFeature, .tooManyRecipients,
                .unsupportedMediaType:
                Self(("InvalidParameterValue", 400), ("BadRequestException", 400))
            case .malformedJSON, .malformedForm: Self(("MalformedQueryString", 404), ("BadRequestException", 400))
            case .rateLimited, .tooManyAttempts:
                Self(
                    ("Throttling", 400), ("TooManyRequestsException", 429), words: "Maximum sending rate exceeded.")
            // Sending the same again helps as little as it would for any other bad request.
            case .burstExceeded, .planLimitReached: Self(("LimitExceeded", 400), ("LimitExceededException", 400))
            case .conflict, .idempotencyConflict, .lastOwner:
                Self(("InvalidParameterCombination", 400), ("ConflictException", 409))
            case .notFound, .invitationInvalid: Self(("UnknownOperationException", 404), ("NotFoundException", 404))
            case .methodNotAllowed: Self(("UnknownOperationException", 405), ("BadRequestException", 405))
            case .overloaded, .storageUnavailable:
                Self(("ServiceUnavailable", 503), ("ServiceUnavailableException", 503))
            case .signInUnavailable, .mailerqUnauthorized, .mailerqUnavailable, .mailerqTimeout, .internalError:
                Self(("InternalFailure", 500), ("InternalServiceErrorException", 500))
            }
    }

    private static func rejected(words: String?) -> Self {
        Self(("MessageRejected", 400), ("MessageRejected", 400), words: words)
    }

    private static func unauthorized(_ error: PosternError) -> Self {
        switch SESAuthenticationProblem(error) {
        case .missing: Self(("MissingAuthenticationToken", 403), ("MissingAuthenticationTokenException", 403))
        case .incomplete: Self(("IncompleteSignature", 400), ("IncompleteSignatureException", 400))
        case .mismatch: Self(("SignatureDoesNotMatch", 403), ("InvalidSignatureException", 403))
        case .expired: Self(("RequestExpired", 403), ("InvalidSignatureException", 403), words: "Signature expired.")
        case nil:
            Self(
                ("InvalidClientTokenId", 403), ("UnrecognizedClientException", 403),
                words: "The security token included in the request is invalid.")
        }
    }

    // MARK: Answers

    static func answer(_ error: PosternError, requestID: String, isQuery: Bool) -> ProviderAnswer {
        let errors = SESErrors(error)
        let message = errors.message(of: error)
        var answer =
            isQuery
            ? SESXML.error(errors.query, message, requestID: requestID)
            : json(errors.json, message, requestID: requestID)
        if let seconds = error.retryAfter { answer.headers.append(("Retry-After", "\(seconds)")) }
        return answer
    }

    /// One text holds all that there is to say: SES's words, every problem by name, and what to do.
    private func message(of error: PosternError) -> String {
        let detail =
            error.problems.count > 1
            ? error.problems.map { "\($0.pointer.isEmpty ? "the document" : $0.pointer): \($0.message)" }
                .joined(separator: "; ") : error.detail
        return [words, detail.hasSuffix(".") ? detail : detail + ".", error.fix].compactMap { $0 }
            .joined(separator: " ")
    }

    private static func json(_ kind: Kind, _ message: String, requestID: String) -> ProviderAnswer {
        var writer = JSONWriter()
        writer.object { $0.member("message", message) }
        return ProviderAnswer(
            status: kind.status,
            headers: [
                ("Content-Type", "application/json"), ("x-amzn-ErrorType", kind.code), ("x-amzn-RequestId", requestID),
            ],
            body: writer.bytes)
    }
}
