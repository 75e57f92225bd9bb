// `postern pool`: sending addresses by From domain.

package import ArgumentParser
import JSON
import Model

package struct PoolCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "pool",
        abstract: "Make, list, edit, reorder and delete IP pools.",
        discussion: """
            Example:
              postern pool create --domain example.com --pool main --ip 192.0.2.10
            """,
        subcommands: [
            List.self, Create.self, Edit.self, AddIP.self, RemoveIP.self, MoveIP.self, Delete.self,
        ])

    package init() {}

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List the pools.",
            discussion: """
                Example:
                  postern pool list
                """)

        static let action = Action.poolRead

        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let columns = [
                TableColumn("ID", "id"), TableColumn("DOMAIN", "domain"), TableColumn("POOL", "pool"),
                TableColumn("IPS", "ips", limit: 80), TableColumn("UPDATED", "updated_at"),
            ]
            try await Listing(columns: columns, nothing: "No pools.")
                .print(APIRequest(.get, "ip-pools"), api, page: page, output: output)
        }
    }

    struct Create: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a pool for a domain.",
            discussion: """
                Example:
                  postern pool create --domain example.com --pool main \\
                    --ip 192.0.2.10 2001:db8::10
                """)

        static let action = Action.poolWrite

        @Option(help: "The From domain that the pool is for.") var domain: String
        @Option(help: "The pool's name.") var pool: String
        @Option(parsing: .upToNextOption, help: "Addresses, the preferred one first. Several, or with commas.")
        var ip: [String]
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var request: APIRequest {
            var body = JSONObject()
            body.give("domain", domain)
            body.give("pool", pool)
            body.give("ips", ip.splitAtCommas)
            return APIRequest(.post, "ip-pools", json: body)
        }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(request))
        }
    }

    struct Edit: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a pool; what is not given stays.",
            discussion: """
                Example:
                  postern pool edit POOL_ID --ip 192.0.2.12
                """)

        static let action = Action.poolWrite

        @Argument(help: "The pool's id.") var id: String
        @Option(help: "Another domain.") var domain: String?
        @Option(help: "Another name.") var pool: String?
        @Option(parsing: .upToNextOption, help: "All addresses anew. Several, or with commas.")
        var ip: [String] = []
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            try IDArgument.check(id)
            guard domain != nil || pool != nil || !ip.isEmpty else {
                throw ValidationError("Give what changes: --domain, --pool or --ip.")
            }
        }

        var request: APIRequest {
            var body = JSONObject()
            body.give("domain", domain)
            body.give("pool", pool)
            body.give("ips", ip.splitAtCommas)
            return APIRequest(.patch, "ip-pools", id, json: body)
        }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(request))
        }
    }

    struct Delete: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a pool.",
            discussion: """
                Example:
                  postern pool delete POOL_ID
                """)

        static let action = Action.poolWrite

        @Argument(help: "The pool's id.") var id: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            _ = try await api.send(APIRequest(.delete, "ip-pools", id))
            try output.done("deleted", id)
        }
    }
}
