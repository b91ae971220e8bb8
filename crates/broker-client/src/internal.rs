//! What callback-server asks the broker. The messages are in [`hubkey_protocol::internal`].

use hubkey_protocol::{
    ProviderId,
    internal::{
        BackchannelLogout, BrowserReply, EndConnections, GetPage, HubCallback, LogoutReply,
        OpenConnectionsPage, OpenLink, ProviderCallback, SiteInfo, SubmitDecision,
    },
    path,
    secret::SharedSecret,
};

use crate::{BrokerClient, ClientError, http::fill};

impl BrokerClient<SharedSecret> {
    /// `GET /internal/v1/site`
    pub async fn site(&self) -> Result<SiteInfo, ClientError> {
        self.get(path::INTERNAL_SITE).await
    }

    /// `POST /internal/v1/start`
    pub async fn start(&self, message: &OpenLink) -> Result<BrowserReply, ClientError> {
        self.post(path::INTERNAL_START, message).await
    }

    /// `POST /internal/v1/hub-callback`
    pub async fn hub_callback(&self, message: &HubCallback) -> Result<BrowserReply, ClientError> {
        self.post(path::INTERNAL_HUB_CALLBACK, message).await
    }

    /// `POST /internal/v1/view`
    pub async fn view(&self, message: &GetPage) -> Result<BrowserReply, ClientError> {
        self.post(path::INTERNAL_VIEW, message).await
    }

    /// `POST /internal/v1/continue`
    pub async fn continue_(&self, message: &SubmitDecision) -> Result<BrowserReply, ClientError> {
        self.post(path::INTERNAL_CONTINUE, message).await
    }

    /// `POST /internal/v1/callback/{provider}`
    pub async fn callback(
        &self,
        provider: &ProviderId,
        message: &ProviderCallback,
    ) -> Result<BrowserReply, ClientError> {
        self.post(
            &fill(path::INTERNAL_CALLBACK, "provider", provider.as_str()),
            message,
        )
        .await
    }

    /// `POST /internal/v1/backchannel-logout/{provider}`
    pub async fn backchannel_logout(
        &self,
        provider: &ProviderId,
        message: &BackchannelLogout,
    ) -> Result<LogoutReply, ClientError> {
        self.post(
            &fill(
                path::INTERNAL_BACKCHANNEL_LOGOUT,
                "provider",
                provider.as_str(),
            ),
            message,
        )
        .await
    }

    /// `POST /internal/v1/confirm`
    pub async fn confirm(&self, message: &SubmitDecision) -> Result<BrowserReply, ClientError> {
        self.post(path::INTERNAL_CONFIRM, message).await
    }

    /// `POST /internal/v1/connections`
    pub async fn my_connections(
        &self,
        message: &OpenConnectionsPage,
    ) -> Result<BrowserReply, ClientError> {
        self.post(path::INTERNAL_CONNECTIONS, message).await
    }

    /// `POST /internal/v1/end-connections`
    pub async fn end_connections(
        &self,
        message: &EndConnections,
    ) -> Result<BrowserReply, ClientError> {
        self.post(path::INTERNAL_END_CONNECTIONS, message).await
    }
}
