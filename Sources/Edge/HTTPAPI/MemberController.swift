// The members of a vault: listed, given a role, taken out.

import HTTPTypes
import Hummingbird
import JSON
import Model
import People
import Store

struct MemberController: Sendable {
    let people: PeopleDirectory

    var endpoints: [Endpoint] {
        [
            .ofVault(.get, "/api/vaults/{id}/members", .memberRead, list),
            .ofVault(.put, "/api/vaults/{id}/members/{user}", .memberWrite, set),
            .ofVault(.delete, "/api/vaults/{id}/members/{user}", .memberWrite, remove),
        ]
    }

    @Sendable private func list(_ call: PersonCall, _ vault: Vault) async throws -> Response {
        var query = Query(call.request)
        let page = query.page()
        try query.finish()
        let members = try await people.members(in: vault.id, page: page)
        return .list(members, limit: page.limit, cursor: \.user.id.text) { member, writer in writer.member(member) }
    }

    @Sendable private func set(_ call: PersonCall, _ vault: Vault) async throws -> Response {
        var reader = try await call.form()
        let role: VaultRole? = reader.required("role", reader.choice("role"))
        reader.finish()
        guard reader.problems.isEmpty, let role else { throw PosternError.validation(reader.problems) }
        let set = try await people.setMember(
            try await user(call, vault), role, in: vault.id, by: call.person, audit: call.audits(.memberWrite))
        return .json(status: set.isNew ? .created : .ok) { writer in writer.member(set.member) }
    }

    @Sendable private func remove(_ call: PersonCall, _ vault: Vault) async throws -> Response {
        try await call.checkNothingIsGiven()
        try await people.removeMember(
            try await user(call, vault), in: vault.id, by: call.person, audit: call.audits(.memberWrite))
        return Response(status: .noContent)
    }

    private func user(_ call: PersonCall, _ vault: Vault) async throws -> UserID {
        let name = call.parameter("user")
        return try await people.userID(name.percentDecoded ?? name, in: vault.id, by: call.person)
    }
}
