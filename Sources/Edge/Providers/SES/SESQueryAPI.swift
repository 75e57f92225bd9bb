// The actions of SES's query API: sending, and what tools ask for when they are set up.

import Dialects
import Forms
import Mapping
import Model
import Outbox

enum SESQueryAPI {
    @Sendable
    static func answer(
        _ request: ProviderRequest,
        _ caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        let form = try form(of: request, services)
        guard let action = form.text("Action") else {
            return SESXML.error(
                ("MissingAction", 400), "The parameter Action is missing.", requestID: request.requestID)
        }
        if let sending = Sending(rawValue: action) {
            let receipt = try await services.submit(
                .ses, .form(form), by: caller, request: request, idempotencyKey: request.invocation)
            return SESXML.answer(sending.rawValue, requestID: request.requestID) { xml in
                xml.element("MessageId", receipt.entries[0].id.text)
            }
        }
        guard let question = Question(rawValue: action) else {
            let known = (Sending.allCases.map(\.rawValue) + Question.allCases.map(\.rawValue)).joined(separator: ", ")
            return SESXML.error(
                ("InvalidAction", 400), "The action \(action.prefix(100)) is not offered here; these are: \(known).",
                requestID: request.requestID)
        }
        let account = try await SESAccount(of: caller, services)
        return try await answer(question, form, request, account, services)
    }

    private enum Sending: String, CaseIterable {
        case sendEmail = "SendEmail"
        case sendRawEmail = "SendRawEmail"
        // Refused by the dialect, which says why.
        case sendTemplatedEmail = "SendTemplatedEmail"
        case sendBulkTemplatedEmail = "SendBulkTemplatedEmail"
    }

    private enum Question: String, CaseIterable {
        case getSendQuota = "GetSendQuota"
        case getSendStatistics = "GetSendStatistics"
        case getAccountSendingEnabled = "GetAccountSendingEnabled"
        case listIdentities = "ListIdentities"
        case listVerifiedEmailAddresses = "ListVerifiedEmailAddresses"
        case getIdentityVerificationAttributes = "GetIdentityVerificationAttributes"
        case verifyEmailIdentity = "VerifyEmailIdentity"
    }

    /// The parameters of the body, or of the URL where there is no body.
    private static func form(of request: ProviderRequest, _ services: ProviderServices) throws -> Form {
        let bytes = request.body.isEmpty ? Array(request.query.utf8) : request.body
        let limits = FormLimits(bytes: services.pipeline.configuration.limits.submissionBytes)
        do throws(FormError) {
            return try FormParser.urlencoded(bytes, limits: limits)
        } catch {
            throw PosternError(.malformedForm, error.description)
        }
    }

    private static func answer(
        _ question: Question,
        _ form: Form,
        _ request: ProviderRequest,
        _ account: SESAccount,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        let id = request.requestID
        let action = question.rawValue
        switch question {
        case .getSendQuota:
            let quota = try await account.quota(services)
            return SESXML.answer(action, requestID: id) { xml in
                xml.element("Max24HourSend", "\(quota.perDay)")
                xml.element("MaxSendRate", "\(quota.perSecond)")
                xml.element("SentLast24Hours", "\(quota.sent)")
            }
        case .getSendStatistics:
            let points = try await account.statistics(services)
            return SESXML.answer(action, requestID: id) { xml in
                xml.element("SendDataPoints") { xml in for point in points { point.write(to: &xml) } }
            }
        case .getAccountSendingEnabled:
            // In shadow mode mail is taken as well, and captured.
            return SESXML.answer(action, requestID: id) { $0.element("Enabled", "true") }
        case .listIdentities:
            return try listIdentities(form, account.identities, requestID: id)
        case .listVerifiedEmailAddresses:
            // As in ListIdentities: single addresses are not what is allowed.
            return SESXML.answer(action, requestID: id) { $0.list("VerifiedEmailAddresses", []) }
        case .getIdentityVerificationAttributes:
            let asked = members("Identities", form).filter(account.identities.allows)
            return SESXML.answer(action, requestID: id) { xml in
                xml.element("VerificationAttributes") { xml in
                    for identity in asked {
                        xml.element("entry") { xml in
                            xml.element("key", identity)
                            xml.element("value") { $0.element("VerificationStatus", "Success") }
                        }
                    }
                }
            }
        case .verifyEmailIdentity:
            let address = form.text("EmailAddress") ?? ""
            guard account.identities.allows(address) else {
                throw PosternError(
                    .validationFailed, "EmailAddress: senders of this domain are not allowed in this vault",
                    fix: "Have the domain added to allowed_sender_domains; no mail is sent to verify an address.")
            }
            return SESXML.answer(action, requestID: id) { _ in }
        }
    }

    private static func listIdentities(
        _ form: Form,
        _ identities: SESIdentities,
        requestID: String
    ) throws -> ProviderAnswer {
        var names: [String]
        switch form.text("IdentityType") {
        case nil, "", "Domain": names = identities.names
        // Domains are allowed here, never single addresses.
        case "EmailAddress": names = []
        case .some: throw PosternError(.validationFailed, "IdentityType is EmailAddress or Domain")
        }
        if let token = form.text("NextToken"), !token.isEmpty {
            guard let last = names.firstIndex(of: token) else {
                throw PosternError(.validationFailed, "NextToken is none that was given out")
            }
            names.removeFirst(last + 1)
        }
        let most = form.text("MaxItems").map { Int($0) ?? 0 } ?? 1000
        guard (1...1000).contains(most) else { throw PosternError(.validationFailed, "MaxItems is from 1 to 1000") }
        return SESXML.answer("ListIdentities", requestID: requestID) { xml in
            xml.list("Identities", Array(names.prefix(most)))
            if names.count > most { xml.element("NextToken", names[most - 1]) }
        }
    }

    private static func members(_ name: String, _ form: Form) -> [String] {
        (1...100).compactMap { form.text("\(name).member.\($0)") }
    }
}
