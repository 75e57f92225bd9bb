// `postern vault suspend`, `resume`, `archive`, `restore`, `delete`, `plan`: how much alive a vault is, and what it may have.

import ArgumentParser
import JSON
import Model

extension VaultCommand {
    struct Suspend: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Stop a vault's mail until it is resumed. Everything can still be read and set up.",
            discussion: """
                Example:
                  postern vault suspend shop --reason 'unpaid since October'
                """)

        static let action = Action.vaultSuspend

        @OptionGroup var vault: VaultArgument
        @Option(help: "Why: whoever is refused reads it.") var reason: String
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let body = JSONObject(["reason": .string(reason)])
            try output.show(try await api.object(vault.request(.post, "suspend", json: body)))
        }
    }

    struct Resume: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a suspended vault send again, what waits included.",
            discussion: """
                Example:
                  postern vault resume shop
                """)

        static let action = Action.vaultSuspend

        @OptionGroup var vault: VaultArgument
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(vault.request(.post, "resume")))
        }
    }

    struct Archive: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Put a vault away: its members can read it, and nothing changes.",
            discussion: """
                Mail that waits for its time is refused as a reason not to, unless --cancel-waiting ends it.

                Example:
                  postern vault archive shop
                """)

        static let action = Action.vaultArchive

        @OptionGroup var vault: VaultArgument
        @Flag(help: "Cancel the mail that still waits to be sent.") var cancelWaiting = false
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let body = cancelWaiting ? JSONObject(["cancel_waiting": .bool(true)]) : nil
            try output.show(try await api.object(vault.request(.post, "archive", json: body)))
        }
    }

    struct Restore: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring an archived vault back.",
            discussion: """
                Example:
                  postern vault restore shop
                """)

        static let action = Action.vaultArchive

        @OptionGroup var vault: VaultArgument
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(vault.request(.post, "restore")))
        }
    }

    struct Delete: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a vault with all that it holds, for good.",
            discussion: """
                Asks for the slug once more; --confirm gives it where nobody can be asked.

                Example:
                  postern vault delete shop --confirm shop
                """)

        static let action = Action.vaultDelete

        @OptionGroup var vault: VaultArgument
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let found = try await api.object(vault.request(.get))
            guard let id = found["id"]?.stringValue, let slug = found["slug"]?.stringValue else {
                throw CommandFailure.notPostern
            }
            try confirmation.check(slug, "delete the vault \(slug) with all that it holds")
            // By its id: the slug could have become another vault's meanwhile.
            let body = JSONObject(["confirm": .string(slug)])
            let answer = try await api.object(APIRequest(.delete, in: .api, "vaults", id, json: body))
            try output.show(
                .object(answer), ["deleted \(Visible.text(slug)); what it held is being taken away"])
        }
    }

    struct Plan: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Put a vault on another plan, or give it limits of its own.",
            discussion: """
                A limit is a number, or none. --limit replaces all limits of the vault's own; --plan-limits takes them away.

                Example:
                  postern vault plan shop business
                  postern vault plan shop business --limit users=20 agents=none
                """)

        static let action = Action.vaultPlan

        @OptionGroup var vault: VaultArgument
        @Argument(help: "The plan's name; `postern plan list` shows them.") var plan: String
        @OptionGroup var limits: LimitOptions
        @Flag(help: "Only the plan's own limits hold from now on.") var planLimits = false
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            if planLimits, !limits.limit.isEmpty { throw ValidationError("--plan-limits takes no --limit.") }
        }

        var request: APIRequest {
            var body = JSONObject()
            body.give("plan", plan)
            if planLimits || !limits.limit.isEmpty { body["limits"] = .object(limits.document) }
            return vault.request(.put, "plan", json: body)
        }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(request))
        }
    }
}

/// `--limit users=20 agents=none`
struct LimitOptions: ParsableArguments {
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("A limit and its number, or none. Several, or with commas.", valueName: "name=number"))
    var limit: [String] = []

    func validate() throws {
        for text in limit.splitAtCommas where Self.pair(text) == nil {
            throw ValidationError("'\(Visible.text(text))' is not name=number or name=none.")
        }
    }

    /// Names and numbers, `null` for none.
    var document: JSONObject {
        var document = JSONObject()
        for pair in limit.splitAtCommas.compactMap(Self.pair) { document[pair.name] = pair.value }
        return document
    }

    private static func pair(_ text: String) -> (name: String, value: JSONValue)? {
        let parts = text.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[0].isEmpty else { return nil }
        if parts[1] == "none" { return (parts[0], .null) }
        guard let number = Int64(parts[1]), number >= 0 else { return nil }
        return (parts[0], .integer(number))
    }
}
