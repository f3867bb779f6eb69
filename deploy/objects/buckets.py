"""Makes the two buckets of an S3-compatible store, and lets the work bucket expire. Safe to repeat. No access rules."""

import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

WORK_EXPIRES_AFTER_DAYS = 14
"""Renders and specs are needed for retries and regenerations of recent jobs; finished pictures are in the public bucket."""

ALREADY_OURS = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


def main() -> None:
    names = ("S3_ENDPOINT", "S3_BUCKET", "S3_WORK_BUCKET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
    if absent := [name for name in names if not os.environ.get(name)]:
        sys.exit(f"{', '.join(absent)}: needed to make the buckets")
    store = boto3.client(
        "s3",
        endpoint_url=os.environ["S3_ENDPOINT"],
        region_name=os.environ.get("S3_REGION", "us-east-1"),
        aws_access_key_id=os.environ["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["S3_SECRET_ACCESS_KEY"],
        config=Config(
            retries={"max_attempts": 5, "mode": "standard"},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    work = os.environ["S3_WORK_BUCKET"]
    try:
        for bucket in (os.environ["S3_BUCKET"], work):
            try:
                store.create_bucket(Bucket=bucket)
            except ClientError as error:
                if error.response["Error"]["Code"] not in ALREADY_OURS:
                    raise
        store.put_bucket_lifecycle_configuration(
            Bucket=work,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "work-expires",
                        "Status": "Enabled",
                        "Filter": {"Prefix": "jobs/"},
                        "Expiration": {"Days": WORK_EXPIRES_AFTER_DAYS},
                    }
                ]
            },
        )
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"the buckets could not be made: {error}")


if __name__ == "__main__":
    main()
