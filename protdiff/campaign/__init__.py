"""Campaigns: thousands of designs of several kinds in one folder, by one process or by many."""

from typing import TYPE_CHECKING

from protdiff.lazy import make_lazy

if TYPE_CHECKING:
    from protdiff.campaign.config import Campaign, Job, JobFilter, load_campaign
    from protdiff.campaign.ray_engine import run_campaign_with_ray
    from protdiff.campaign.run import run_campaign
    from protdiff.campaign.status import CampaignStatus, JobStatus, read_status

__all__ = [
    "Campaign",
    "CampaignStatus",
    "Job",
    "JobFilter",
    "JobStatus",
    "load_campaign",
    "read_status",
    "run_campaign",
    "run_campaign_with_ray",
]

__getattr__, __dir__ = make_lazy(
    __name__,
    {
        "Campaign": "protdiff.campaign.config",
        "CampaignStatus": "protdiff.campaign.status",
        "Job": "protdiff.campaign.config",
        "JobFilter": "protdiff.campaign.config",
        "JobStatus": "protdiff.campaign.status",
        "load_campaign": "protdiff.campaign.config",
        "read_status": "protdiff.campaign.status",
        "run_campaign": "protdiff.campaign.run",
        "run_campaign_with_ray": "protdiff.campaign.ray_engine",
    },
)
