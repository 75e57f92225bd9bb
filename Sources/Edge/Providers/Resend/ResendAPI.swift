// Resend's API as its client libraries see it: https://…/resend in place of https://api.resend.com.

import Gate
package import Model
package import Sealing

package struct ResendAPI: ProviderAPI {
    package let base = "/resend"

    package init() {}

    package var operations: [ProviderOperation] {
        [
            ProviderOperation("POST", "/emails", .messageSend, ResendSending.one),
            ProviderOperation("POST", "/emails/batch", .messageSend, ResendSending.batch),
            ProviderOperation("GET", "/emails/{id}", .messageRead, ResendEmails.show),
            ProviderOperation("PATCH", "/emails/{id}", .messageCancel, ResendEmails.change),
            ProviderOperation("POST", "/emails/{id}/cancel", .messageCancel, ResendEmails.cancel),
        ]
    }

    package func credentials(_ request: ProviderRequest) throws(PosternError) -> Secret<String> {
        guard let key = request.authorization("bearer") else { throw ResendErrors.missingKey }
        return Secret(key)
    }

    package func refusal(_ error: PosternError, requestID: String, path: String) -> ProviderAnswer {
        ResendErrors.answer(error)
    }
}
