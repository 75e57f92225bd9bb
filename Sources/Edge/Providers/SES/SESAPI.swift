// Amazon SES as its clients know it: the query API v1 at `/ses/`, the JSON API v2 below `/ses/v2/`. An AWS SDK sends
// through Postern when its endpoint is `https://<host>/ses` and both halves of its credentials are one of our keys.

import Gate
package import Model
package import Sealing

package struct SESAPI: ProviderAPI {
    package let base = "/ses"
    private let clock: any WallClock

    package init(clock: any WallClock = SystemClock()) { self.clock = clock }

    /// Every caller may ask; what is then done, sending above all, has its own answer at the gate.
    package var operations: [ProviderOperation] {
        [
            ProviderOperation("POST", "/", .selfRead, SESQueryAPI.answer),
            ProviderOperation("GET", "/", .selfRead, SESQueryAPI.answer),
            ProviderOperation("POST", "/v2/email/outbound-emails", .messageSend, SESDocumentAPI.send),
            ProviderOperation("POST", "/v2/email/outbound-bulk-emails", .messageSend, SESDocumentAPI.sendBulk),
            ProviderOperation("GET", "/v2/email/account", .selfRead, SESDocumentAPI.account),
        ]
    }

    package func credentials(_ request: ProviderRequest) throws(PosternError) -> Secret<String> {
        do throws(SESAuthenticationProblem) {
            return try SESSignature(of: request).accessKey
        } catch {
            throw error.error
        }
    }

    package func verify(_ request: ProviderRequest, key: Secret<String>) throws(PosternError) {
        do throws(SESAuthenticationProblem) {
            try SESSignature(of: request).verify(request, secret: key, now: clock.now())
        } catch {
            throw error.error
        }
    }

    package func refusal(_ error: PosternError, requestID: String, path: String) -> ProviderAnswer {
        SESErrors.answer(error, requestID: requestID, isQuery: !path.hasPrefix("\(base)/v2"))
    }
}

extension ProviderRequest {
    /// AWS's clients number their calls, and repeat the number when they try one again because no answer came: such a
    /// repeat is not a second message.
    var invocation: String? {
        // The last one is what AWS's SDK for PHP calls it.
        header("idempotency-key") ?? header("amz-sdk-invocation-id") ?? header("aws-sdk-invocation-id")
    }
}
