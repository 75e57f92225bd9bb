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
    case selfRead = "self.read"

    /// Any one of these scopes suffices; none means that being known does.
    package var scopes: Scopes {
        switch self {
        case .messageSend, .messageMap: .send
        case .messageCancel, .messageRetry: [.send, .admin]
        case .messageRead, .settingsRead, .poolRead, .smtpUserRead, .keyRead, .alertRead: [.read, .admin]
        case .keyWrite, .smtpUserWrite, .settingsWrite, .poolWrite, .queueRepair, .orphanRead: .admin
        case .queueRead: [.amqp, .admin]
        case .mailerqRead, .mailerqWrite: .mailerq
        case .selfRead: []
        }
    }

    /// Whether a read-only caller may do it.
    package var changesNothing: Bool {
        switch self {
        case .messageMap, .messageRead, .keyRead, .smtpUserRead, .settingsRead, .poolRead, .queueRead, .orphanRead,
            .mailerqRead, .alertRead, .selfRead:
            true
        case .messageSend, .messageCancel, .messageRetry, .keyWrite, .smtpUserWrite, .settingsWrite, .poolWrite,
            .queueRepair, .mailerqWrite:
            false
        }
    }
}
