// Invitations: made to the instance or to a vault, listed, sent again, revoked; and what whoever got one does with it.

import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import People
import Sealing
import Store
import Vaults

struct InvitationController: Sendable {
    let people: PeopleDirectory
    let vaults: VaultDirectory
    let credentials: CredentialReader
    let publicURL: String

    /// Vaults that one invitation may name.
    private static let grantLimit = 50

    var endpoints: [Endpoint] {
        [
            .instance(.get, "/api/invitations", .invitationRead) { try await list($0, of: nil) },
            .instance(.post, "/api/invitations", .invitationWrite, invite),
            .instance(.delete, "/api/invitations/{id}", .invitationWrite) { try await revoke($0, "id", of: nil) },
            .instance(.post, "/api/invitations/{id}/resend", .invitationWrite) { try await resend($0, "id", of: nil) },
            .ofVault(.get, "/api/vaults/{id}/invitations", .invitationRead) { try await list($0, of: $1.id) },
            .ofVault(.post, "/api/vaults/{id}/invitations", .invitationWrite, inviteToVault),
            .ofVault(.delete, "/api/vaults/{id}/invitations/{invitation}", .invitationWrite) {
                try await revoke($0, "invitation", of: $1.id)
            },
            .ofVault(.post, "/api/vaults/{id}/invitations/{invitation}/resend", .invitationWrite) {
                try await resend($0, "invitation", of: $1.id)
            },
            .open(.post, "/auth/invitations/show", .sessionBegin, show),
            .open(.post, "/auth/invitations/accept", .sessionBegin, accept),
        ]
    }

    @Sendable private func list(_ call: PersonCall, of vault: VaultID?) async throws -> Response {
        var query = Query(call.request)
        let state: Invitation.State? = query.choice("state")
        let (limit, cursor) = (query.limit(), query.text("cursor"))
        try query.finish()
        let invitations = try await people.invitations(
            of: vault, state: state, before: cursor.map(InvitationID.init(stored:)), limit: limit)
        let slugs = try await people.slugs(of: Set(invitations.flatMap(\.grants).map(\.vault)))
        let now = call.clock.now()
        return .list(invitations, limit: limit, cursor: \.id.text) { invitation, writer in
            writer.object { $0.members(invitation, slugs, at: now) }
        }
    }

    @Sendable private func invite(_ call: PersonCall) async throws -> Response {
        var reader = try await call.form()
        let email = reader.required("email", reader.personalAddress("email"))
        let role: InstanceRole = reader.choice("role") ?? .member
        let grants = try await grants(&reader, call.person)
        reader.finish()
        guard reader.problems.isEmpty, let email else { throw PosternError.validation(reader.problems) }
        let request = PeopleDirectory.InvitationRequest(email: email, role: role, grants: grants)
        let made = try await people.invite(request, by: call.person, audit: call.audits(.invitationWrite))
        return try await answer(made.invitation, made.link, call, status: .created)
    }

    /// By an owner of the vault: a role in it, and no more at the instance than working in vaults takes.
    @Sendable private func inviteToVault(_ call: PersonCall, _ vault: Vault) async throws -> Response {
        var reader = try await call.form()
        let email = reader.required("email", reader.personalAddress("email"))
        let role: VaultRole? = reader.required("role", reader.choice("role"))
        let instanceRole: InstanceRole = reader.choice("instance_role") ?? min(.member, call.person.role)
        reader.finish()
        guard reader.problems.isEmpty, let email, let role else { throw PosternError.validation(reader.problems) }
        let request = PeopleDirectory.InvitationRequest(
            email: email, role: instanceRole, grants: [Invitation.Grant(vault: vault.id, role: role)], vault: vault.id)
        let made = try await people.invite(request, by: call.person, audit: call.audits(.invitationWrite))
        return try await answer(made.invitation, made.link, call, status: .created)
    }

    @Sendable private func revoke(_ call: PersonCall, _ name: String, of vault: VaultID?) async throws -> Response {
        try await call.checkNothingIsGiven()
        try await people.revoke(
            try call.id(InvitationKind.self, name), of: vault, by: call.person, audit: call.audits(.invitationWrite))
        return Response(status: .noContent)
    }

    @Sendable private func resend(_ call: PersonCall, _ name: String, of vault: VaultID?) async throws -> Response {
        try await call.checkNothingIsGiven()
        let sent = try await people.resend(
            try call.id(InvitationKind.self, name), of: vault, by: call.person, audit: call.audits(.invitationWrite))
        return try await answer(sent.invitation, sent.link, call)
    }

    private func answer(
        _ invitation: Invitation,
        _ link: PeopleDirectory.Handover,
        _ call: PersonCall,
        status: HTTPResponse.Status = .ok
    ) async throws -> Response {
        let slugs = try await people.slugs(of: Set(invitation.grants.map(\.vault)))
        let now = call.clock.now()
        return .json(status: status) { writer in
            writer.object { writer in
                writer.members(invitation, slugs, at: now)
                writer.members(link)
            }
        }
    }

    /// `[{"vault": an id or a slug, "role": …}]`. A vault that the person has nothing to do with is not there for them.
    private func grants(_ reader: inout JSONReader, _ person: Person) async throws -> [Invitation.Grant] {
        guard let elements = reader.array("vaults") else { return [] }
        guard elements.count <= Self.grantLimit else {
            reader.problem("must not name more than \(Self.grantLimit) vaults", at: "vaults")
            return []
        }
        var grants: [Invitation.Grant] = []
        for (index, element) in elements.enumerated() {
            var grant = JSONReader(element, pointer: "\(reader.pointer(to: "vaults"))/\(index)")
            let name = grant.required("vault", grant.string("vault"))
            let role: VaultRole? = grant.required("role", grant.choice("role"))
            grant.finish()
            if let name, let role {
                let vault = try await vaults.find(name)
                if let vault, person.memberships[vault.id] != nil || person.role >= .admin {
                    if grants.contains(where: { $0.vault == vault.id }) { grant.problem("is named twice", at: "vault") }
                    grants.append(Invitation.Grant(vault: vault.id, role: role))
                } else {
                    grant.problem("names no vault", at: "vault")
                }
            }
            reader.adopt(grant.problems)
        }
        return grants
    }
}

extension InvitationController {
    @Sendable private func show(_ call: OpenCall) async throws -> Response {
        var reader = try await call.form()
        let token = reader.required("token", reader.signInText("token"))
        reader.finish()
        guard reader.problems.isEmpty, let token else { throw PosternError.validation(reader.problems) }
        let offered = try await people.offered(by: Secret(token), visit: call.visit)
        return .json { writer in
            writer.object { writer in
                writer.member("email", offered.invitation.email)
                writer.member("role", offered.invitation.role.rawValue)
                writer.name("vaults")
                writer.array { writer in
                    for vault in offered.vaults {
                        writer.object { writer in
                            writer.member("slug", vault.slug)
                            writer.member("name", vault.name)
                            writer.member("role", vault.role.rawValue)
                        }
                    }
                }
                writer.member("invited_by", offered.inviter)
                writer.member("expires_at", offered.invitation.expiresAt)
                writer.member("has_account", offered.hasAccount)
            }
        }
    }

    @Sendable private func accept(_ call: OpenCall) async throws -> Response {
        // The answer makes cookies: a page of another site must not sign its visitor in as whoever it likes.
        try RequestOrigin.check(call.request, publicURL: publicURL)
        var reader = try await call.form()
        let token = reader.required("token", reader.signInText("token"))
        let name = reader.label("name")
        let password = reader.signInText("password")
        reader.finish()
        guard reader.problems.isEmpty, let token else { throw PosternError.validation(reader.problems) }
        let welcome = try await people.accept(
            token: Secret(token), name: name, password: password.map(Secret.init), signedIn: try await signedIn(call),
            visit: call.visit)
        switch welcome {
        case .joined(let profile):
            return .json { writer in
                writer.object { writer in
                    writer.name("user")
                    writer.profile(profile)
                }
            }
        case .signedIn(let signedIn, let profile):
            var response = Response.json(status: .created) { writer in
                writer.object { writer in
                    writer.member("token", signedIn.accessToken.reveal())
                    writer.member("refresh_token", signedIn.refreshToken.reveal())
                    writer.member("expires_in", signedIn.expiresIn)
                    writer.name("user")
                    writer.account(profile.user)
                }
            }
            SessionCookies(publicURL: publicURL).set(signedIn, on: &response)
            return response
        }
    }

    /// Who is signed in, if anybody is: the path is open, but an existing account accepts for itself. A session that has ended
    /// is none.
    private func signedIn(_ call: OpenCall) async throws -> Person? {
        do {
            let principal = try await credentials.principal(
                of: call.request, from: call.context.remoteAddress, accepting: .key, at: "/auth/invitations/accept")
            guard case .person(let person) = principal else { return nil }
            return person
        } catch let error as PosternError where error.code == .unauthorized {
            return nil
        }
    }
}

extension JSONWriter {
    fileprivate mutating func members(_ invitation: Invitation, _ slugs: [VaultID: String], at now: Timestamp) {
        for member in invitation.document(at: now).members where member.name != "vaults" {
            self.member(member.name, member.value)
        }
        name("vaults")
        array { writer in
            for grant in invitation.grants {
                writer.object { writer in
                    writer.member("id", grant.vault.text)
                    writer.member("slug", slugs[grant.vault])
                    writer.member("role", grant.role.rawValue)
                }
            }
        }
    }
}
