// Which server, as whom, and in which vault: the options of every command that talks to a server.

import ArgumentParser

/// What a command's options say of all that; `nil` where they say nothing.
protocol ConnectionChoice: ParsableArguments {
    var url: String? { get }
    var token: String? { get }
    var vault: String? { get }
}

extension ConnectionChoice {
    var token: String? { nil }
    var vault: String? { nil }
}

/// For commands that show nothing, such as the sign-in.
struct AddressOptions: ConnectionChoice {
    @Option(
        help: ArgumentHelp(
            """
            The server's address. Else POSTERN_URL, else the quickstart card's, else that of the last login, else \
            \(ServerAccess.defaultURL).
            """,
            valueName: "address"))
    var url: String?
}

/// For commands about the instance and one's own account.
package struct ServerOptions: ConnectionChoice {
    @OptionGroup var address: AddressOptions

    @Option(
        help: ArgumentHelp(
            """
            An API key or a person's token. Better in POSTERN_TOKEN, where no other user sees it. Without either, the \
            login that `postern login` keeps for the server, else what data/quickstart.json (or \
            $POSTERN_DATA_DIR/quickstart.json) has for it.
            """,
            valueName: "token"))
    var token: String?

    var url: String? { address.url }

    package init() {}
}

/// For commands that work in a vault.
package struct ConnectionOptions: ConnectionChoice {
    @OptionGroup var server: ServerOptions

    @Option(
        help: ArgumentHelp(
            """
            The vault, by id or slug, for people who are members of several. Else POSTERN_VAULT. A key has its own vault.
            """,
            valueName: "vault"))
    var vault: String?

    var url: String? { server.url }
    var token: String? { server.token }

    package init() {}
}
