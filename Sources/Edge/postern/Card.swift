// What the quickstart prints: addresses, credentials, and lines that work as they stand.

import Gate
import JSON
import Model
import SQL
import Sealing
import Store
import Vaults

struct Card: Sendable {
    struct SMTP: Sendable {
        let host: String
        let port: Int
        let tlsPort: Int
    }

    private let vault: String
    private let key: Secret<String>
    private let username: String
    private let password: Secret<String>

    /// Makes the vault, its key and its SMTP user on the first start; on a later one, uses those of the kept card as long as
    /// they still work.
    static func prepare(_ instance: Instance, kept: String?) async throws -> Card {
        let vault = try await vault(instance)
        let document = kept.flatMap { try? JSONParser.parse($0) }?.objectValue
        let smtp = document?["smtp"]?.objectValue
        var key = document?["api_key"]?.stringValue.map(Secret.init)
        if let text = key, await !instance.works(key: text) { key = nil }
        var login = smtp?["username"]?.stringValue
        var password = smtp?["password"]?.stringValue.map(Secret.init)
        if let name = login, let text = password, await !instance.works(username: name, password: text) { login = nil }
        if key == nil {
            let request = CallerDirectory.KeyRequest(label: "quickstart", kind: .tool, scopes: .all)
            key = try await instance.callers.issueKey(
                request, by: nil, in: vault.id, audit: instance.audit(.keyWrite)
            ).text
        }
        if login == nil || password == nil {
            let made = try await instance.callers.addUser(
                CallerDirectory.UserRequest(label: "quickstart-smtp"), by: nil, in: vault.id,
                audit: instance.audit(.smtpUserWrite))
            (login, password) = (made.user.username, made.password)
        }
        guard let key, let login, let password else { throw StartError(description: "the card could not be made") }
        return Card(vault: vault.slug, key: key, username: login, password: password)
    }

    private static func vault(_ instance: Instance) async throws -> Vault {
        if let vault = try await instance.vaults.all().first { return vault }
        let vault = try await instance.vaults.create(slug: "default", name: "Default")
        try await instance.vaults.change(
            JSONObject(["allowed_sender_domains": .array([.string("example.com")])]), in: vault.id,
            audit: instance.audit(.settingsWrite))
        return vault
    }

    /// `{"url","vault","api_key","smtp":{"host","port","tls_port","username","password"}}`
    func json(url: String, smtp: SMTP?) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("url", url)
            writer.member("vault", vault)
            writer.member("api_key", key.reveal())
            if let smtp {
                writer.name("smtp")
                writer.object { writer in
                    writer.member("host", smtp.host)
                    writer.member("port", smtp.port)
                    writer.member("tls_port", smtp.tlsPort)
                    writer.member("username", username)
                    writer.member("password", password.reveal())
                }
            }
        }
        return writer.bytes
    }

    func text(url: String, smtp: SMTP?, isLive: Bool, path: String) -> String {
        let mode =
            isLive
            ? "Live send is on: what a vault's settings let through leaves this machine."
            : "It is in shadow mode: mail is captured, nothing is sent."
        let key = key.reveal()
        var text = """

            Postern is running. \(mode)

              API      \(url)
              Key      \(key)
              Vault    \(vault), which may send from example.com

            """
        if let smtp {
            text += """
                  SMTP     \(smtp.host):\(smtp.port) (STARTTLS) or :\(smtp.tlsPort) (TLS), self-signed certificate
                  Login    \(username)  \(password.reveal())

                """
        }
        text += """

            Send a first message by HTTP:

            curl -sS \(url)/v1/messages -H 'Authorization: Bearer \(key)' -H 'Content-Type: application/json' \
            -d '{"from":"hello@example.com","to":"you@example.org","subject":"First message","text":"Hello from Postern."}'

            """
        if let smtp {
            text += """

                or by SMTP:

                swaks --server \(smtp.host):\(smtp.port) --tls --auth PLAIN --auth-user \(username) \
                --auth-password \(password.reveal()) --from hello@example.com --to you@example.org \
                --header 'Subject: First message' --body 'Hello from Postern.'

                """
        }
        return text + """

            Then read what became of it:

            curl -sS \(url)/v1/messages -H 'Authorization: Bearer \(key)'

            The same is in \(path), and `postern message list` reads it there. Ctrl-C stops the server.

            """
    }
}

extension Instance {
    /// Entries for what the program itself does on its own machine.
    fileprivate func audit(_ action: Action) -> AuditMaker {
        { [ids, clock] resource, before, after in
            AuditEntry(
                id: ids.next(), at: clock.now(), actor: Actor(id: "postern", label: "postern quickstart", door: "cli"),
                action: action.rawValue, resource: resource, before: before, after: after)
        }
    }

    fileprivate func works(key: Secret<String>) async -> Bool {
        (try? await authenticator.authenticate(key: key)) != nil
    }

    fileprivate func works(username: String, password: Secret<String>) async -> Bool {
        (try? await authenticator.authenticate(username: username, password: password)) != nil
    }
}
