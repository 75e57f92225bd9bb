// Why a signed request is not let in. The words are the error's detail, by which the answer finds again the code that
// AWS has for the case.

import Model

enum SESAuthenticationProblem: String, Error {
    case missing = "the request is not signed: it has neither an AWS4-HMAC-SHA256 nor an AWS3-HTTPS authorization"
    case incomplete = "the authorization lacks something that its kind must have"
    case mismatch = "the signature that was calculated from the request is not the one that was sent with it"
    case expired = "the request's date is more than 15 minutes away from now"

    var error: PosternError {
        PosternError(
            .unauthorized, rawValue,
            fix: "Sign with the whole Postern key (ak_…) as the access key id and as the secret access key; a proxy "
                + "must pass on Host, path and body unchanged.")
    }

    /// `nil` for a refusal that is not about the signature: a key that is not known, or not any more.
    init?(_ error: PosternError) { self.init(rawValue: error.detail) }
}
