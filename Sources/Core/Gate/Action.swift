// Everything that can be asked of Postern, and what it takes: the one table behind the gate.

package import Model

package enum Action: String, Sendable, CaseIterable {
    case messageSend = "message.send"
    case messageMap = "message.map"
    case messageRead = "message.read"
    case messageCancel = "message.cancel"
    case messageRetry = "message.retry"
    case keyRead = "key.read"
    case keyWrite = "key.write"
    case smtpUserRead = "smtp_user.read"
    case smtpUserWrite = "smtp_user.write"
    case settingsRead = "settings.read"
    case settingsWrite = "settings.write"
    case poolRead = "pool.read"
    case poolWrite = "pool.write"
    case queueRead = "queue.read"
    case queueRepair = "queue.repair"
    case orphanRead = "orphan.read"
    case mailerqRead = "mailerq.read"
    case mailerqWrite = "mailerq.write"
    case alertRead = "alert.read"
    case auditRead = "audit.read"
    case secretRead = "secret.read"
    case secretWrite = "secret.write"
    /// Having mail published to the broker, and handed over by MailerQ's HTTP (seed 000 §08).
    case routeMailerQ = "route.mailerq"
    case routeMailerQHTTP = "route.mailerq-http"
    case selfRead = "self.read"

    /// Any one of these scopes suffices; none means that being known does.
    package var scopes: Scopes {
        switch self {
        case .messageSend, .messageMap: .send
        case .messageCancel, .messageRetry: [.send, .admin]
        case .messageRead, .settingsRead, .poolRead, .smtpUserRead, .keyRead, .alertRead: [.read, .admin]
        case .keyWrite, .smtpUserWrite, .settingsWrite, .poolWrite, .queueRepair, .orphanRead, .auditRead, .secretRead,
            .secretWrite:
            .admin
        case .queueRead: [.amqp, .admin]
        case .routeMailerQ: .amqp
        case .mailerqRead, .mailerqWrite, .routeMailerQHTTP: .mailerq
        case .selfRead: []
        }
    }

    /// Whether a read-only caller may do it.
    package var changesNothing: Bool {
        switch self {
        case .messageMap, .messageRead, .keyRead, .smtpUserRead, .settingsRead, .poolRead, .queueRead, .orphanRead,
            .mailerqRead, .alertRead, .auditRead, .secretRead, .selfRead:
            true
        case .messageSend, .messageCancel, .messageRetry, .keyWrite, .smtpUserWrite, .settingsWrite, .poolWrite,
            .queueRepair, .mailerqWrite, .secretWrite, .routeMailerQ, .routeMailerQHTTP:
            false
        }
    }

    /// Whether a caller that is narrowed to labels may do it: what it sees then is narrowed as well.
    var isWithinLabels: Bool {
        switch self {
        case .messageSend, .messageMap, .messageRead, .messageCancel, .messageRetry, .keyRead, .keyWrite, .smtpUserRead,
            .smtpUserWrite, .routeMailerQ, .routeMailerQHTTP, .selfRead:
            true
        case .settingsRead, .settingsWrite, .poolRead, .poolWrite, .queueRead, .queueRepair, .orphanRead, .mailerqRead,
            .mailerqWrite, .alertRead, .auditRead, .secretRead, .secretWrite:
            false
        }
    }

    /// Whether it sends a backlog of whatever callers again, past the limits and the policy that hold each one for itself.
    var sendsForOthers: Bool { self == .queueRepair }

    /// Whether an SMTP user may do it without any scope: its mail takes whatever route the vault chose.
    var isOpenToLogins: Bool { self == .routeMailerQ || self == .routeMailerQHTTP }
}
