// What the quickstart prints: addresses, credentials, and lines that work as they stand.

import Gate
import JSON
import Model
import People
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

    /// Who signs in as the instance's owner; `nil` where that is no longer ours to say.
    struct Owner: Sendable {
        static let email = "owner@postern.localhost"

        let email: String
        let password: Secret<String>
    }

    private let owner: Owner?
    private let vault: String
    private let key: Secret<String>
    private let username: String
    private let password: Secret<String>

    /// Makes the owner, the vault, its key and its SMTP user on the first start; on a later one, uses those of the kept card as
    /// long as they still work. A password that somebody changed stays theirs: then the card has no owner.
    static func prepare(_ instance: Instance, kept: String?) async throws -> Card {
        let document = kept.flatMap { try? JSONParser.parse($0) }?.objectValue
        let made = try await Owner.make(instance)
        let vault = try await vault(instance, for: made?.id)
        var owner = made?.owner
        if owner == nil { owner = await Owner.kept(document?["owner"]?.objectValue, instance) }
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
        return Card(owner: owner, vault: vault.slug, key: key, username: login, password: password)
    }

    /// - Parameter owner: whoever was made just now, and belongs into the card's vault.
    private static func vault(_ instance: Instance, for owner: UserID?) async throws -> Vault {
        let known = try await instance.vaults.all().first
        let first = FirstVault(
            vaults: instance.vaults, database: instance.database, clock: instance.clock,
            audit: { instance.audit($0) })
        let vault = try await first.open(named: known?.slug ?? "default", for: owner)
        guard known == nil else { return vault }
        try await instance.vaults.change(
            JSONObject(["allowed_sender_domains": .array([.string("example.com")])]), in: vault.id,
            audit: instance.audit(.settingsWrite))
        return vault
    }

    /// `{"url","owner":{"email","password"},"vault","api_key","smtp":{"host","port","tls_port","username","password"}}`,
    /// where `owner` and `smtp` may be missing.
    func json(url: String, smtp: SMTP?) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("url", url)
            if let owner {
                writer.name("owner")
                writer.object { writer in
                    writer.member("email", owner.email)
                    writer.member("password", owner.password.reveal())
                }
            }
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
              Owner    \(ownerText)

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
            \(signIn(url))
            The same is in \(path), and `postern message list` reads it there. Ctrl-C stops the server.

            """
    }
}

extension Card {
    private var ownerText: String {
        owner.map { "\($0.email)  \($0.password.reveal())" }
            ?? "signs in with a password that was chosen since, which is not kept here (`postern recover` sets another)"
    }

    private func signIn(_ url: String) -> String {
        guard let owner else { return "" }
        return """

            Sign in as the owner, who invites people:

            curl -sS \(url)/auth/login -H 'Content-Type: application/json' \
            -d '{"email":"\(owner.email)","password":"\(owner.password.reveal())"}'

            """
    }
}

extension Card.Owner {
    /// - Returns: `nil` where the instance has an owner.
    fileprivate static func make(_ instance: Instance) async throws -> (owner: Card.Owner, id: UserID)? {
        let owner = Card.Owner(email: email, password: Secret(RandomToken.text(20)))
        do {
            let user = try await instance.accounts.makeFirstOwner(
                email: owner.email, name: "Owner", password: owner.password, audit: instance.audit(.machine))
            return (owner, user.id)
        } catch let error as PosternError {
            guard error.code == .conflict else { throw error }
            return nil
        }
    }

    fileprivate static func kept(_ document: JSONObject?, _ instance: Instance) async -> Card.Owner? {
        guard let email = document?["email"]?.stringValue,
            let password = document?["password"]?.stringValue.map(Secret.init),
            (try? await instance.accounts.check(email: email, password: password)) == true
        else { return nil }
        return Card.Owner(email: email, password: password)
    }
}

extension Instance {
    fileprivate func audit(_ action: Action) -> AuditMaker {
        MachineAudit.entries(action, as: "postern quickstart", ids: ids, clock: clock)
    }

    fileprivate func works(key: Secret<String>) async -> Bool {
        (try? await authenticator.authenticate(key: key)) != nil
    }

    fileprivate func works(username: String, password: Secret<String>) async -> Bool {
        (try? await authenticator.authenticate(username: username, password: password)) != nil
    }
}
