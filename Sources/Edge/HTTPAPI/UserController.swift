// The people of the instance, for its admins: listed, made, changed, let in again, deleted. What may be changed is named here
// field by field; everything else in a body is refused.

import HTTPTypes
import Hummingbird
import JSON
import MIME
import Model
import People
import Store

struct UserController: Sendable {
    let people: PeopleDirectory

    var endpoints: [Endpoint] {
        [
            .instance(.get, "/api/users", .userRead, list),
            .instance(.post, "/api/users", .userWrite, create),
            .instance(.get, "/api/users/{id}", .userRead, show),
            .instance(.patch, "/api/users/{id}", .userWrite, change),
            .instance(.delete, "/api/users/{id}", .userDelete, delete),
            .instance(.post, "/api/users/{id}/reset-password", .userWrite, resetPassword),
            .instance(.post, "/api/users/{id}/unlock", .userWrite, unlock),
            .instance(.get, "/api/users/{id}/sessions", .userRead, sessions),
            .instance(.delete, "/api/users/{id}/sessions", .userWrite, endSessions),
        ]
    }

    @Sendable private func list(_ call: PersonCall) async throws -> Response {
        var query = Query(call.request)
        let page = query.page()
        let text = query.text("q")
        let role: InstanceRole? = query.choice("role")
        let state: UserState? = query.choice("state")
        try query.finish()
        let profiles = try await people.users(
            page: page, query: text, role: role, isActive: state.map { $0 == .active })
        return .list(profiles, limit: page.limit, cursor: \.user.id.text) { profile, writer in
            writer.profile(profile)
        }
    }

    @Sendable private func create(_ call: PersonCall) async throws -> Response {
        var reader = try await call.form()
        let email = reader.required("email", reader.personalAddress("email"))
        let name = reader.required("name", reader.label("name"))
        let role: InstanceRole = reader.choice("role") ?? .member
        reader.finish()
        guard reader.problems.isEmpty, let email, let name else { throw PosternError.validation(reader.problems) }
        let made = try await people.makeUser(
            email: email, name: name, role: role, by: call.person, audit: call.audits(.userWrite))
        return .json(status: .created) { writer in
            writer.object { writer in
                writer.members(made.profile)
                writer.members(made.link)
            }
        }
    }

    @Sendable private func show(_ call: PersonCall) async throws -> Response {
        answer(try await people.user(try call.id(UserKind.self)))
    }

    @Sendable private func change(_ call: PersonCall) async throws -> Response {
        var reader = try await call.form()
        let change = PeopleDirectory.UserChange(
            name: reader.label("name"), role: reader.choice("role"),
            isActive: (reader.choice("state") as UserState?).map { $0 == .active })
        reader.finish()
        if reader.problems.isEmpty, change.isEmpty { reader.problem("must hold name, role or state") }
        guard reader.problems.isEmpty else {
            throw PosternError(
                .validationFailed, PosternError.validation(reader.problems).detail,
                fix: "An admin changes name, role and state of somebody; all else is theirs to change.",
                problems: reader.problems)
        }
        return answer(
            try await people.change(
                try call.id(UserKind.self), change, by: call.person, audit: call.audits(.userWrite)))
    }

    @Sendable private func delete(_ call: PersonCall) async throws -> Response {
        try await call.checkNothingIsGiven()
        try await people.delete(try call.id(UserKind.self), by: call.person, audit: call.audits(.userDelete))
        return Response(status: .noContent)
    }

    @Sendable private func resetPassword(_ call: PersonCall) async throws -> Response {
        try await call.checkNothingIsGiven()
        let link = try await people.resetPassword(
            of: try call.id(UserKind.self), by: call.person, audit: call.audits(.userWrite))
        return .json { writer in writer.object { $0.members(link) } }
    }

    @Sendable private func unlock(_ call: PersonCall) async throws -> Response {
        try await call.checkNothingIsGiven()
        try await people.unlock(try call.id(UserKind.self), by: call.person, audit: call.audits(.userWrite))
        return Response(status: .noContent)
    }

    @Sendable private func sessions(_ call: PersonCall) async throws -> Response {
        let records = try await people.sessions(of: try call.id(UserKind.self))
        return .json { writer in
            writer.object { writer in
                writer.name("data")
                writer.array { writer in
                    for record in records { writer.value(.object(record.document)) }
                }
                writer.member("next_cursor", nil as String?)
            }
        }
    }

    @Sendable private func endSessions(_ call: PersonCall) async throws -> Response {
        try await call.checkNothingIsGiven()
        let count = try await people.endSessions(
            of: try call.id(UserKind.self), by: call.person, audit: call.audits(.userWrite))
        return .json { writer in writer.object { $0.member("ended", count) } }
    }

    private func answer(_ profile: PeopleDirectory.Profile) -> Response {
        .json { writer in writer.profile(profile) }
    }
}
