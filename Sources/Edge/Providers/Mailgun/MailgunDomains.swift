// The domains that a caller of Mailgun's API has: the vault's sender domains, as far as the key is not narrowed to others.

import JSON
import MIME
import Model
import Vaults

enum MailgunDomains {
    /// The domain of the path. Mailgun sends mail of any author by a domain of the account; here the author's domain is
    /// judged by policy as everywhere, and the path's has to be one of the caller's too.
    /// - Throws: `not_found`.
    static func allowed(
        _ request: ProviderRequest,
        for caller: Caller,
        _ services: ProviderServices
    ) async throws -> String {
        let settings = try await services.vaults.snapshot(of: caller.vault).settings
        let given = request.parameters["domain"] ?? ""
        guard let domain = EmailAddress.normalizedDomain(given),
            try settings.require(Settings.allowedSenderDomains).contains(where: { $0.matches(asciiDomain: domain) }),
            caller.senderDomains?.contains(where: { $0.matches(asciiDomain: domain) }) ?? true
        else {
            throw PosternError(
                .notFound, "Domain not found: \(given.prefix(255))",
                fix: "Name a domain of the vault's allowed_sender_domains in the path.")
        }
        return domain
    }

    static func show(
        _ request: ProviderRequest,
        for caller: Caller,
        _ services: ProviderServices
    ) async throws -> ProviderAnswer {
        let domain = try await allowed(request, for: caller, services)
        return .json { writer in
            writer.object { writer in
                writer.name("domain")
                write(domain, to: &writer)
            }
        }
    }

    /// Domains by name; patterns such as `*.example.com` are none that could be listed.
    static func list(for caller: Caller, _ services: ProviderServices) async throws -> ProviderAnswer {
        let settings = try await services.vaults.snapshot(of: caller.vault).settings
        let domains = (settings.value(Settings.allowedSenderDomains) ?? []).map(\.description).filter { domain in
            !domain.hasPrefix("*.")
                && caller.senderDomains?.contains { $0.matches(asciiDomain: domain) } ?? true
        }
        return .json { writer in
            writer.object { writer in
                writer.member("total_count", domains.count)
                writer.name("items")
                writer.array { writer in
                    for domain in domains { write(domain, to: &writer) }
                }
            }
        }
    }

    private static func write(_ domain: String, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("name", domain)
            writer.member("state", "active")
            writer.member("type", "custom")
            writer.member("is_disabled", false)
        }
    }
}
