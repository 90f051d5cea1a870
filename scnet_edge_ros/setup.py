"""How colcon builds the package; scnet-edge itself is installed by pip."""

from setuptools import setup

NAME = "scnet_edge_ros"

setup(
    name=NAME,
    version="0.3.0",
    packages=[NAME],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", ["launch/cracks.launch.py"]),
        (f"share/{NAME}/config", ["config/cracks.yaml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="The scnet-edge authors",
    maintainer_email="noreply@example.com",
    description="Crack segmentation of camera images",
    license="Apache-2.0",
    entry_points={"console_scripts": [f"cracks = {NAME}.node:main"]},
)
