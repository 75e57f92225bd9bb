// Which server to talk to, as whom, and in which vault.

import ArgumentParser
import JSON
import Sealing

struct ServerAccess: Sendable {
    /// What is shown to the server.
    enum Identity: Sendable {
        case nobody
        /// A key, or a person's access token.
        case token(String)
        /// The login that is kept for the server.
        case login
        /// Whoever the card names as its owner: signed in for one command, and out again.
        case owner(email: String, password: Secret<String>)
    }

    static let defaultURL = "http://127.0.0.1:8025"

    /// Scheme, host, port and an optional path, without a slash at the end.
    let url: String
    let identity: Identity
    let vault: String?

    /// - Throws: `ValidationError` for an address, a token or a vault that cannot be meant.
    init(url: String, identity: Identity = .nobody, vault: String? = nil) throws {
        if case .token(let token) = identity, !Self.isPlain(token) {
            throw ValidationError("The token holds a character that no key has.")
        }
        if let vault, vault.isEmpty || !Self.isPlain(vault) {
            throw ValidationError("'\(Visible.text(vault))' is neither the id nor the slug of a vault.")
        }
        self.url = try Self.checked(url)
        self.identity = identity
        self.vault = vault
    }

    static func checked(_ url: String) throws -> String {
        var url = url
        while url.last == "/" { url.removeLast() }
        let lowercased = url.lowercased()
        guard let scheme = ["http://", "https://"].first(where: lowercased.hasPrefix),
            url.utf8.count > scheme.utf8.count, isPlain(url), !url.contains(where: { "?#@\\".contains($0) })
        else {
            throw ValidationError(
                "'\(Visible.text(url))' is not the address of a server; write it as \(Self.defaultURL)")
        }
        return url
    }

    /// Whether what is sent can be read on its way to another machine.
    var isInClear: Bool {
        let lowercased = url.lowercased()
        guard lowercased.hasPrefix("http://") else { return false }
        let authority = lowercased.dropFirst("http://".count).prefix { $0 != "/" }
        guard !authority.hasPrefix("[::1]") else { return false }
        let host = authority.prefix { $0 != ":" }
        return host != "localhost" && !(host.hasPrefix("127.") && host.allSatisfy { $0 == "." || $0.isNumber })
    }

    private static func isPlain(_ text: String) -> Bool { text.utf8.allSatisfy { (0x21...0x7E).contains($0) } }
}

extension ServerAccess {
    /// The server: the option, the environment, the card that `postern quickstart` left, the last login, the default; with
    /// a token of the caller's only a server that is named, or the default.
    ///
    /// As whom: the option, the environment, the login that is kept for the server, the card where it is the server's. What
    /// was kept or left for one server never goes to another.
    static func resolve(
        _ choice: some ConnectionChoice,
        for audience: Audience,
        terminal: Terminal
    ) throws -> ServerAccess {
        let named = choice.url ?? terminal.environment("POSTERN_URL")?.nonEmpty
        let vault = choice.vault ?? terminal.environment("POSTERN_VAULT")?.nonEmpty
        func access(token: String) throws -> ServerAccess {
            try ServerAccess(url: named ?? defaultURL, identity: .token(token), vault: vault)
        }
        if let token = choice.token { return try access(token: token) }
        let card = QuickstartCard.read(terminal)
        let book = LoginFile(terminal)?.readable(terminal) ?? LoginBook()
        let url = try checked(named ?? card?.url ?? book.last ?? defaultURL)
        let kept: Identity? = book[url] == nil ? nil : .login
        let left = card.flatMap { LoginBook.isSame($0.url, url) ? $0 : nil }
        let person = kept ?? left?.owner
        if let variable = terminal.environment("POSTERN_TOKEN")?.nonEmpty, audience != .everybody {
            // A key in the environment is no use for what only people may do.
            let isInTheWay = audience == .people && variable.hasPrefix("ak_") && person != nil
            if !isInTheWay { return try access(token: variable) }
        }
        let identity: Identity? =
            switch audience {
            case .everybody: nil
            case .people: person ?? left?.key
            case .keys: left?.key ?? kept
            case .peopleAndKeys: kept ?? left?.key
            }
        return try ServerAccess(url: url, identity: identity ?? .nobody, vault: vault)
    }
}

/// What `postern quickstart` left for whoever uses the same machine.
private struct QuickstartCard {
    let url: String
    let key: ServerAccess.Identity
    let owner: ServerAccess.Identity?

    /// A card that cannot be read is worth a note, and no more: the command may not need it.
    static func read(_ terminal: Terminal) -> QuickstartCard? {
        let path = "\(terminal.environment("POSTERN_DATA_DIR")?.nonEmpty ?? "data")/quickstart.json"
        guard FileBytes.exists(path) else { return nil }
        do throws(FileFailure) {
            let document = try? JSONParser.parse(FileBytes.read(path)).objectValue
            guard let url = document?["url"]?.stringValue, let key = document?["api_key"]?.stringValue else {
                throw FileFailure(description: "\(path) holds no url and api_key")
            }
            guard let access = try? ServerAccess(url: url, identity: .token(key)) else { return nil }
            let owner = document?["owner"]?.objectValue
            guard let email = owner?["email"]?.stringValue, let password = owner?["password"]?.stringValue else {
                return QuickstartCard(url: access.url, key: access.identity, owner: nil)
            }
            return QuickstartCard(
                url: access.url, key: access.identity, owner: .owner(email: email, password: Secret(password)))
        } catch {
            terminal.note("postern: \(error)")
            return nil
        }
    }
}

extension String {
    /// A variable that is set to nothing is as good as unset.
    var nonEmpty: String? { isEmpty ? nil : self }
}
