// The operations of SES's JSON API v2 that Postern has: sending, and the account with its quota.

import Dialects
import JSON
import Mapping
import Model
import Outbox

enum SESDocumentAPI {
    @Sendable
    static func send(
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONParser.parse(request.body)
        } catch {
            throw PosternError(.malformedJSON, error.description)
        }
        let receipt = try await services.submit(
            .ses, .json(document), by: caller, request: request, idempotencyKey: request.invocation)
        return answer(request) { $0.member("MessageId", receipt.entries[0].id.text) }
    }

    /// A bulk message is nothing but a template and the values to fill in.
    @Sendable
    static func sendBulk(
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        throw PosternError(
            .unsupportedFeature, "SendBulkEmail: templates are not filled in here",
            fix: "Fill the template in, and call SendEmail once a recipient.")
    }

    @Sendable
    static func account(
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        let account = try await SESAccount(of: caller, services)
        let quota = try await account.quota(services)
        return answer(request) { writer in
            writer.member("DedicatedIpAutoWarmupEnabled", false)
            writer.member("EnforcementStatus", "HEALTHY")
            // Shadow mode is what SES calls the sandbox: mail is taken, and does not go out.
            writer.member("ProductionAccessEnabled", account.isLive)
            writer.name("SendQuota")
            writer.object { writer in
                writer.name("Max24HourSend")
                writer.number(quota.perDay)
                writer.name("MaxSendRate")
                writer.number(quota.perSecond)
                writer.name("SentLast24Hours")
                writer.number(quota.sent)
            }
            writer.member("SendingEnabled", true)
        }
    }

    private static func answer(_ request: ProviderRequest, _ body: (inout JSONWriter) -> Void) -> ProviderAnswer {
        var writer = JSONWriter()
        writer.object(body)
        return ProviderAnswer(
            status: 200, headers: [("Content-Type", "application/json"), ("x-amzn-RequestId", request.requestID)],
            body: writer.bytes)
    }
}
