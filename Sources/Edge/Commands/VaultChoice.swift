// The vault that a command about a vault is about, where the path names it: the option's, else the only one there is.

import JSON

extension APIClient {
    /// - Returns: id or slug, as it was given.
    /// - Throws: `failed` where nothing says which, and the person is a member of none or of several.
    func vault() async throws(CommandFailure) -> String {
        if let vault = access.vault { return vault }
        let answer = try await object(APIRequest(.get, in: .auth, "me"))
        let memberships = (answer["memberships"]?.arrayValue ?? []).compactMap(\.objectValue)
        guard memberships.count == 1, let id = memberships.first?["vault"]?.stringValue else {
            let slugs = memberships.compactMap { $0["slug"]?.stringValue }
            throw .failed(
                "name the vault with --vault or POSTERN_VAULT; you are a member of "
                    + (slugs.isEmpty ? "none" : slugs.joined(separator: ", ")))
        }
        return id
    }
}
