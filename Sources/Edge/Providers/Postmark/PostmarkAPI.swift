// Postmark's API as its client libraries see it: https://…/postmark in place of https://api.postmarkapp.com. Some libraries keep
// only the host of an address that they are given (Python's postmarker), so that the same paths answer at the root as well.

import Gate
import JSON
package import Model
import Outbox
package import Sealing
import Vaults

package struct PostmarkAPI: ProviderAPI {
    package let base: String
    package let operations: [ProviderOperation]
    /// Of the alias at the root too: `auth_mode` has one entry for `/postmark/email`, however that is written.
    package let settingsBase: String

    private static let own = "/postmark"

    /// Under its own base and at the root.
    package static let all = [
        PostmarkAPI(base: own, email: "/email", server: "/server"),
        PostmarkAPI(base: "/email", email: "", server: nil),
        PostmarkAPI(base: "/server", email: nil, server: ""),
    ]

    /// - Parameters:
    ///   - email: the path of what sends, below the base; `nil` leaves it out.
    ///   - server: the path of what tells of the server.
    private init(base: String, email: String?, server: String?) {
        self.base = base
        settingsBase = base == Self.own ? base : Self.own + base
        var operations: [ProviderOperation] = []
        if let email {
            operations += [
                ProviderOperation("POST", email, .messageSend, PostmarkSending.one),
                ProviderOperation("POST", "\(email)/batch", .messageSend, PostmarkSending.batch),
                ProviderOperation("POST", "\(email)/withTemplate", .messageSend, PostmarkSending.template),
                ProviderOperation("POST", "\(email)/batchWithTemplates", .messageSend, PostmarkSending.template),
            ]
        }
        if let server { operations.append(ProviderOperation("GET", server, .selfRead, Self.describe)) }
        self.operations = operations
    }

    package func credentials(_ request: ProviderRequest) throws(PosternError) -> Secret<String> {
        guard let key = request.header("x-postmark-server-token"), !key.isEmpty else {
            throw PosternError(
                .unauthorized, "the request has no X-Postmark-Server-Token",
                fix: "Send a key of Postern's as X-Postmark-Server-Token: ak_….")
        }
        return Secret(key)
    }

    package func refusal(_ error: PosternError, requestID: String, path: String) -> ProviderAnswer {
        PostmarkErrors.answer(error)
    }

    /// A Postmark server is a vault; what Postern does not have is left out.
    @Sendable
    private static func describe(
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        let settings = try await services.vaults.snapshot(of: caller.vault).settings
        let isLive =
            services.pipeline.configuration.isLiveSendEnabled && settings.value(Settings.liveSendEnabled) == true
        return .json { writer in
            writer.object { writer in
                writer.member("Name", caller.vault.text)
                // Keys are shown once, when they are made.
                writer.member("ApiTokens", [String]())
                writer.member("DeliveryType", isLive ? "Live" : "Sandbox")
                writer.member("SmtpApiActivated", settings.value(Settings.inboundSMTPEnabled) == true)
                writer.member("TrackOpens", false)
                writer.member("TrackLinks", "None")
            }
        }
    }
}
