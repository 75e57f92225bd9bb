// Which server to talk to and with which key.

import ArgumentParser
import JSON

struct ServerAccess: Equatable, Sendable {
    static let defaultURL = "http://127.0.0.1:8025"

    /// Scheme, host, port and an optional path, without a slash at the end.
    let url: String
    let token: String?

    /// - Throws: `ValidationError` for an address or a key that cannot be meant.
    init(url: String, token: String?) throws {
        var url = url
        while url.last == "/" { url.removeLast() }
        let lowercased = url.lowercased()
        guard let scheme = ["http://", "https://"].first(where: lowercased.hasPrefix),
            url.utf8.count > scheme.utf8.count,
            url.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), !url.contains(where: { "?#@\\".contains($0) })
        else {
            throw ValidationError(
                "'\(Visible.text(url))' is not the address of a server; write it as \(Self.defaultURL)")
        }
        if let token, !token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) {
            throw ValidationError("The token holds a character that no key has.")
        }
        self.url = url
        self.token = token
    }

    /// Options first, then the environment, then the card that `postern quickstart` left, then the default address.
    /// The card's key goes only to the card's server: another server is no place to send it to.
    static func resolve(url: String?, token: String?, terminal: Terminal) throws -> ServerAccess {
        let url = url ?? terminal.environment("POSTERN_URL")?.nonEmpty
        let token = token ?? terminal.environment("POSTERN_TOKEN")?.nonEmpty
        if let token { return try ServerAccess(url: url ?? defaultURL, token: token) }
        let card = card(in: terminal.environment("POSTERN_DATA_DIR")?.nonEmpty ?? "data", terminal)
        guard let url else { return try card ?? ServerAccess(url: defaultURL, token: nil) }
        let chosen = try ServerAccess(url: url, token: nil)
        return card.flatMap { $0.url.lowercased() == chosen.url.lowercased() ? $0 : nil } ?? chosen
    }

    /// A card that cannot be read is worth a note, and no more: the command may not need it.
    private static func card(in directory: String, _ terminal: Terminal) -> ServerAccess? {
        let path = "\(directory)/quickstart.json"
        guard FileBytes.exists(path) else { return nil }
        do throws(FileFailure) {
            let document = try? JSONParser.parse(FileBytes.read(path)).objectValue
            guard let url = document?["url"]?.stringValue, let key = document?["api_key"]?.stringValue else {
                throw FileFailure(description: "\(path) holds no url and api_key")
            }
            return try? ServerAccess(url: url, token: key)
        } catch {
            terminal.note("postern: \(error)")
            return nil
        }
    }
}

extension String {
    /// A variable that is set to nothing is as good as unset.
    fileprivate var nonEmpty: String? { isEmpty ? nil : self }
}
