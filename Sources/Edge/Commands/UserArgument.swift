// A person on the command line, by id or by e-mail address.

import ArgumentParser
import JSON

struct UserArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The person's id or e-mail address.", valueName: "user")) var user: String

    func validate() throws { try IDArgument.check(user) }

    func id(_ api: APIClient) async throws(CommandFailure) -> String { try await Self.id(user, api) }

    func read(_ api: APIClient) async throws(CommandFailure) -> JSONObject { try await Self.read(user, api) }

    /// - Throws: `failed` where nobody has the address.
    static func id(_ user: String, _ api: APIClient) async throws(CommandFailure) -> String {
        guard user.contains("@") else { return user }
        guard let id = try await read(user, api)["id"]?.stringValue else { throw .notPostern }
        return id
    }

    private static func read(_ user: String, _ api: APIClient) async throws(CommandFailure) -> JSONObject {
        guard user.contains("@") else { return try await api.object(APIRequest(.get, in: .api, "users", user)) }
        var request = APIRequest(.get, in: .api, "users")
        request.ask("q", user)
        request.ask("limit", "200")
        guard let rows = try await api.object(request)["data"]?.arrayValue else { throw .notPostern }
        // The server looks for parts of addresses; here it is one whole one.
        let wanted = user.lowercased()
        let found = rows.compactMap(\.objectValue).first { $0["email"]?.stringValue?.lowercased() == wanted }
        guard let found else { throw .failed("nobody here has the address \(user)") }
        return found
    }

    func change(_ body: JSONObject, _ api: APIClient) async throws(CommandFailure) -> JSONObject {
        try await api.object(APIRequest(.patch, in: .api, "users", try await id(api), json: body))
    }
}
